#pragma once
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "op.h"

namespace protea {

// An input or output of a recorded op. The data is kept only when backward reads it.
struct Slot {
  Tensor tensor;
  bool read = false;
  bool constant = false;
  bool passed = false;  // its gradient is that of out[0]
};

struct Node {
  const Op* op;  // null: a reshape
  std::vector<Slot> in, out;
  size_t visible;
  Attrs attrs;
};

// What a kernel sees of them.
inline std::vector<Array> arrays(std::span<const Tensor> tensors) {
  std::vector<Array> result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.array());
  return result;
}
inline std::vector<Array> arrays(std::span<const Slot> slots) {
  std::vector<Array> result;
  for (const Slot& slot : slots) result.push_back(slot.tensor.array());
  return result;
}

// The list of ops since the last backward, in recording order. It decides what is recorded; running
// is the Runtime's work.
class Tape {
 public:
  // Gradients flow to watched tensors and to everything computed from them.
  void watch(const Tensor& tensor) { tracked_.insert(tensor.id); }
  void unwatch(uint64_t id) { tracked_.erase(id); }
  bool tracks(const Tensor& tensor) const { return tracked_.contains(tensor.id); }

  void record(const Op* op, std::span<const Tensor> in, std::span<const Tensor> out,
              const Outputs& outputs, const Attrs& attrs);
  bool wants(std::span<const Tensor> in, const Outputs& outputs) const;

  bool empty() const { return nodes_.empty(); }
  size_t size() const { return nodes_.size(); }
  Node pop();
  void clear();

  int paused = 0;  // > 0 inside unrecorded(...)

 private:
  std::vector<Node> nodes_;
  std::unordered_set<uint64_t> tracked_;
};

}  // namespace protea
