// The walk back through the tape: which gradient goes where, and which share memory.
#include "parallel.h"
#include "runtime.h"

namespace protea {

std::vector<Tensor> Runtime::backward(const Tensor& loss, std::span<const Tensor> wrt) {
  check(loss.shape.elements() == 1, Code::Shape, "[backward] loss must be a scalar, got ",
        loss.shape);
  check(is_floating(loss.dtype), Code::Dtype, "[backward] loss must be f32 or f64");
  Gradients gradients;
  Tensor one = make(loss.shape, loss.dtype, loss.device);
  with_floating(loss.dtype, [&]<class T>() {
    T value = 1;
    write(one, &value);
  });
  gradients.emplace(loss.id, std::move(one));

  // Recording order is a topological order, so the reverse needs no sort.
  while (!tape_.empty()) back(tape_.pop(), gradients);

  std::vector<Tensor> result;
  for (const Tensor& tensor : wrt) {
    auto found = gradients.find(tensor.id);
    if (found != gradients.end()) own(found->second);
    result.push_back(found == gradients.end() ? Tensor{} : found->second);
  }
  return result;
}

void Runtime::back(const Node& node, Gradients& gradients) {
  if (!node.op) return back_reshape(node, gradients);
  std::vector<Tensor> douts = take_upstream(node, gradients);  // owned until the work is queued
  if (douts.empty()) return;
  Repeated repeated;
  std::vector<Gradient> din = places(node, douts[0], gradients, repeated);
  Device device = node.out[0].tensor.device;
  queue_.push([name = node.op->name, kernel = &node.op->kernel(device), in = arrays(node.in),
               out = arrays(node.out), dout = arrays(douts), din = std::move(din),
               attrs = node.attrs, on = accelerator_for(device)] {
    run_op(name, on, [&] { kernel->backward({in, out, dout, din, attrs, on}); });
  });
  for (auto& [id, term] : repeated) add_into(gradients.at(id), term);
}

// The gradients of the visible outputs, which nothing else needs any more; none when no gradient
// reached the node.
std::vector<Tensor> Runtime::take_upstream(const Node& node, Gradients& gradients) {
  std::vector<Tensor> douts(node.visible);
  bool reached = false;
  for (size_t i = 0; i < node.visible; i++) {
    auto found = gradients.extract(node.out[i].tensor.id);
    if (!found) continue;
    douts[i] = std::move(found.mapped());
    reached = true;
  }
  return reached ? douts : std::vector<Tensor>{};
}

// Where the gradients of the inputs go: to new memory, onto what is there already, or, where it is
// `dout` number for number, nowhere, as its memory is shared. A tensor given twice has its second
// gradient in `repeated`.
std::vector<Gradient> Runtime::places(const Node& node, const Tensor& dout, Gradients& gradients,
                                      Repeated& repeated) {
  std::vector<Gradient> din(node.in.size());
  std::unordered_set<uint64_t> seen;
  for (size_t i = 0; i < din.size(); i++) {
    const Tensor& x = node.in[i].tensor;
    if (!x || node.in[i].constant || !tape_.tracks(x) || !has_gradient(x.dtype)) continue;
    auto made = [&] { return make(x.shape, x.dtype, x.device, node.op->name); };
    if (!seen.insert(x.id).second) {
      din[i] = {repeated.emplace_back(x.id, made()).second.array(), false};
      continue;
    }
    auto [slot, fresh] = gradients.try_emplace(x.id);
    Tensor& gradient = slot->second;
    if (fresh && node.in[i].passed && dout) {
      gradient = shared(dout, x.shape);
      continue;
    }
    if (fresh)
      gradient = made();
    else
      own(gradient);
    din[i] = {gradient.array(), !fresh};
  }
  return din;
}

void Runtime::back_reshape(const Node& node, Gradients& gradients) {
  auto found = gradients.extract(node.out[0].tensor.id);
  if (!found) return;
  Tensor dy = std::move(found.mapped());
  const Tensor& x = node.in[0].tensor;
  if (!tape_.tracks(x)) return;
  dy.shape = x.shape;
  auto [slot, fresh] = gradients.try_emplace(x.id, dy);
  if (!fresh) add_into(slot->second, dy);
}

// The same memory under a name of its own.
Tensor Runtime::shared(const Tensor& gradient, const Shape& shape) {
  Tensor same = gradient;
  same.shape = shape;
  same.id = next_id_++;
  return same;
}

// Before a gradient is changed or given away, memory that it shares with another is copied. Queued
// work holds no handles, so what only this walk still needs has one.
void Runtime::own(Tensor& gradient) {
  if (gradient.storage.use_count() == 1) return;
  Tensor copy = make(gradient.shape, gradient.dtype, gradient.device, "backward");
  queue_.push([to = copy.storage->data, from = gradient.storage->data, bytes = copy.bytes(),
               on = accelerator_for(copy.device)] {
    if (on) return on->copy(to, from, bytes);
    std::copy_n(static_cast<const char*>(from), bytes, static_cast<char*>(to));
  });
  gradient = copy;
}

void Runtime::add_into(Tensor& sum, const Tensor& term) {
  own(sum);
  queue_.push([sum = sum.array(), term = term.array(), on = accelerator_for(sum.device)] {
    if (on) return on->add(sum, term);
    with_floating(sum.dtype, [&]<class T>() {
      T* a = sum.as<T>();
      const T* b = term.as<T>();
      parallel_for(sum.size(), 1 << 16, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) a[i] += b[i];
      });
    });
  });
}

}  // namespace protea
