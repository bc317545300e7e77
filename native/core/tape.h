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
  void watch(const Tensor& tensor) { watched_.insert(tensor.id); }
  // For a tensor whose last handle is gone: nobody can ask for its gradient.
  void unwatch(const Tensor& tensor) { watched_.erase(tensor.id); }
  bool tracks(const Tensor& tensor) const {
    return watched_.contains(tensor.id) || made_.contains(tensor.id);
  }

  void record(const Op* op, std::span<const Tensor> in, std::span<const Tensor> out,
              const Outputs& outputs, const Attrs& attrs);
  bool wants(std::span<const Tensor> in, const Outputs& outputs) const;

  bool empty() const { return nodes_.empty(); }
  Node pop();
  void clear();

  int paused = 0;  // > 0 inside unrecorded(...)

 private:
  std::vector<Node> nodes_;
  std::unordered_set<uint64_t> watched_, made_;  // made: by recorded ops
};

}  // namespace protea
