#include "tape.h"

namespace protea {
namespace {

Slot slot(const Tensor& tensor, bool read) {
  Slot made{tensor, read && tensor};
  if (made.read)
    made.tensor.storage->recorded++;
  else
    made.tensor.storage.reset();
  return made;
}

}  // namespace

bool Tape::wants(std::span<const Tensor> in, const Outputs& outputs) const {
  if (paused) return false;
  for (size_t i = 0; i < in.size(); i++)
    if (in[i] && !outputs.is_constant(i) && tracks(in[i])) return true;
  return false;
}

void Tape::record(const Op* op, std::span<const Tensor> in, std::span<const Tensor> out,
                  const Outputs& outputs, const Attrs& attrs) {
  Node node{op, {}, {}, outputs.visible, attrs};
  for (size_t i = 0; i < in.size(); i++) {
    node.in.push_back(slot(in[i], outputs.reads_input(i)));
    node.in.back().constant = outputs.is_constant(i);
    node.in.back().passed = outputs.is_passed(i);
  }
  for (size_t i = 0; i < out.size(); i++) node.out.push_back(slot(out[i], outputs.reads_output(i)));
  for (size_t i = 0; i < outputs.visible; i++) made_.insert(out[i].id);
  nodes_.push_back(std::move(node));
}

Node Tape::pop() {
  Node node = std::move(nodes_.back());
  nodes_.pop_back();
  for (const std::vector<Slot>* slots : {&node.in, &node.out})
    for (const Slot& slot : *slots)
      if (slot.read) slot.tensor.storage->recorded--;
  for (size_t i = 0; i < node.visible; i++) made_.erase(node.out[i].tensor.id);
  return node;
}

void Tape::clear() {
  while (!nodes_.empty()) pop();
}

}  // namespace protea
