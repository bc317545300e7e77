#include <unordered_set>

#include "context.h"

namespace protea::addon {

double Handles::add(Tensor tensor) {
  uint64_t handle = next_++;
  tensors_.emplace(handle, std::move(tensor));
  if (!scopes_.empty()) scopes_.back().push_back(handle);
  return static_cast<double>(handle);
}

const Tensor& Handles::at(double handle) const {
  static const Tensor none;
  if (handle == 0) return none;
  auto found = tensors_.find(static_cast<uint64_t>(handle));
  check(found != tensors_.end(), Code::Disposed,
        "this tensor was freed, by dispose() or when its scope closed");
  return found->second;
}

Tensor Handles::free(double handle) {
  auto node = tensors_.extract(static_cast<uint64_t>(handle));
  return node ? std::move(node.mapped()) : Tensor{};
}

size_t Handles::open_scope() {
  scopes_.emplace_back();
  return scopes_.size();
}

std::vector<Tensor> Handles::close_scope(size_t scope, const std::vector<double>& keep) {
  check(scope == scopes_.size(), Code::Unsupported, "scopes must close in the order they opened");
  std::vector<uint64_t> made = std::move(scopes_.back());
  scopes_.pop_back();
  std::unordered_set<uint64_t> kept;
  for (double handle : keep) kept.insert(static_cast<uint64_t>(handle));
  std::vector<Tensor> freed;
  for (uint64_t handle : made) {
    auto found = tensors_.find(handle);
    if (found == tensors_.end()) continue;
    if (kept.contains(handle)) {
      if (!scopes_.empty()) scopes_.back().push_back(handle);
    } else {
      freed.push_back(std::move(found->second));
      tensors_.erase(found);
    }
  }
  return freed;
}

}  // namespace protea::addon
