#include "runtime.h"

#include <algorithm>
#include <cstring>
#include <future>
#include <string>

#include "parallel.h"

namespace protea {
namespace {

// An in-place op must not change a value that a recorded backward will read.
void check_mutation(const Op& op, std::span<const Tensor> in, const Outputs& outputs) {
  for (size_t i : outputs.mutates)
    check(!in[i] || in[i].storage->recorded == 0, Code::Unsupported, "[", op.name, "] input ", i,
          " is still needed by a recorded op: call it after backward");
}

// All inputs of an op must be on one device.
Device device_of(const Op& op, std::span<const Tensor> in) {
  const Tensor* first = nullptr;
  for (const Tensor& tensor : in) {
    if (!tensor) continue;
    if (!first) first = &tensor;
    check(tensor.device == first->device, Code::Device, "[", op.name, "] inputs are on ",
          name_of(first->device), " and on ", name_of(tensor.device),
          "; they must be on one device");
    check(tensor.device == Device::Cpu || tensor.dtype != Dtype::F64, Code::Dtype, "[", op.name,
          "] f64 is computed on the cpu only");
  }
  return first ? first->device : Device::Cpu;
}

}  // namespace

// What runs on a device ends before the memory it uses is given back.
Runtime::~Runtime() {
  tape_.clear();
  stop();
  if (!accelerator_) return;
  try {
    accelerator_->finish();
  } catch (...) {
    // nobody is left to be told
  }
}

void Runtime::stop() {
  queue_.stop();
  if (arrivals_) arrivals_->stop();
}

Accelerator& Runtime::accelerator() {
  if (!accelerator_) {
    accelerator_ = open_accelerator();
    device_arena_ = std::make_unique<Arena>(queue_, accelerator_->blocks());
    accelerator_->when_short([this] { device_arena_->trim(); });
    arrivals_ = std::make_unique<Queue>();
  }
  return *accelerator_;
}

Accelerator* Runtime::accelerator_for(Device device) {
  return device == Device::Cuda ? &accelerator() : nullptr;
}

Arena& Runtime::arena(Device device) {
  if (device == Device::Cpu) return arena_;
  accelerator();
  return *device_arena_;
}

// When memory is short, the blocks kept for reuse are given back once, after the work that may
// still use them.
std::shared_ptr<Storage> Runtime::storage(size_t bytes, Device device, const char* asking) {
  Arena& from = arena(device);
  try {
    return std::make_shared<Storage>(from, bytes);
  } catch (const Error& error) {
    if (error.code != Code::OutOfMemory) throw;
  }
  queue_.drain();
  if (accelerator_) accelerator_->finish();
  from.trim();
  try {
    return std::make_shared<Storage>(from, bytes);
  } catch (const Error& error) {
    throw Error(error.code,
                std::string("[") + asking + "] " + name_of(device) + " " + error.what());
  }
}

Tensor Runtime::make(const Shape& shape, Dtype dtype, Device device, const char* asking) {
  for (int64_t d : shape.dims())
    check(d >= 0, Code::Shape, "dimensions must not be negative, got ", shape);
  size_t bytes = static_cast<size_t>(shape.elements()) * size_of(dtype);
  Tensor tensor{shape, dtype, device, next_id_++, storage(bytes, device, asking)};
  if (poison_)
    queue_.push([data = tensor.storage->data, bytes, on = accelerator_for(device)] {
      if (on)
        on->fill(data, 0xff, bytes);
      else
        std::memset(data, 0xff, bytes);
    });
  return tensor;
}

void Runtime::write(const Tensor& tensor, const void* from) {
  size_t bytes = tensor.bytes();
  tensor.storage->rounded = {};
  if (Accelerator* on = accelerator_for(tensor.device)) {
    queue_.push([on, to = tensor.storage->data, bytes, staged = on->stage(from, bytes)] {
      on->upload(to, staged, bytes);
    });
    return;
  }
  auto* begin = static_cast<const char*>(from);
  auto copy = std::make_shared<std::vector<char>>(begin, begin + bytes);
  // Not memcpy: an empty vector's data may be null, which memcpy must not get even for no bytes.
  queue_.push([copy, to = tensor.storage->data] {
    std::copy(copy->begin(), copy->end(), static_cast<char*>(to));
  });
}

void Runtime::read(const Tensor& tensor, void* to) {
  const void* from = tensor.storage->data;
  size_t bytes = tensor.bytes();
  if (Accelerator* on = accelerator_for(tensor.device))
    return queue_.push([=, this] { arrivals_->push(on->download(to, from, bytes)); });
  queue_.push([=] { std::copy_n(static_cast<const char*>(from), bytes, static_cast<char*>(to)); });
}

void Runtime::report(Queue::Report report) {
  if (!arrivals_) return queue_.report(std::move(report));
  // What is read behind a failure is skipped: a read that failed came before it.
  queue_.report([this, report = std::move(report)](std::exception_ptr queued) {
    arrivals_->report([report, queued](std::exception_ptr read) { report(read ? read : queued); });
  });
}

void Runtime::wait() {
  std::promise<void> done;
  report([&](std::exception_ptr error) {
    if (error)
      done.set_exception(error);
    else
      done.set_value();
  });
  done.get_future().get();
}

void Runtime::set_precision(Precision precision) {
  queue_.push([on = &accelerator(), precision] { on->set_precision(precision); });
  precision_ = precision;
}

void Runtime::set_graphs(bool on) {
  queue_.push([to = &accelerator(), on] { to->set_graphs(on); });
}

// A parameter is read by several ops of a step, forward and back, and changed once.
void Runtime::round_inputs(std::span<const Tensor> in, const Outputs& outputs, const char* asking) {
  if (precision_ == Precision::F32 || outputs.rounded == 0) return;
  for (size_t i = 0; i < in.size(); i++) {
    const Tensor& x = in[i];
    bool asked = outputs.is_rounded(i) && x && x.device == Device::Cuda;
    if (!asked || x.dtype != Dtype::F32 || x.array().rounded) continue;
    size_t numbers = static_cast<size_t>(x.shape.rows() * rounded_row(x.columns()));
    std::shared_ptr<Storage> to = storage(numbers * size_of(Dtype::BF16), x.device, asking);
    auto work = [on = &accelerator(), to = to->data, x = x.array()] { on->round(to, x); };
    queue_.push(work, true);  // the rounded numbers are believed from here on
    x.storage->rounded = {std::move(to), x.columns()};
  }
}

std::vector<Tensor> Runtime::call(const Op& op, std::vector<Tensor> in, Attrs attrs) {
  Outputs outputs = op.infer(in, attrs);
  check_mutation(op, in, outputs);
  Device device = device_of(op, in);
  const Kernel& kernel = op.kernel(device);
  bool recorded = outputs.mutates.empty() && tape_.wants(in, outputs);
  check(!recorded || kernel.backward, Code::Unsupported, "[", op.name,
        "] has no gradient; call it inside unrecorded(...)");

  round_inputs(in, outputs, op.name);
  std::vector<Tensor> out;
  for (const Spec& spec : outputs.specs)
    out.push_back(make(spec.shape, spec.dtype, device, op.name));
  if (recorded) tape_.record(&op, in, out, outputs, attrs);

  queue_.push([&op, &kernel, in = arrays(in), out = arrays(out), attrs = std::move(attrs),
               on = accelerator_for(device)] {
    run_op(op.name, on, [&] { kernel.forward({in, out, {}, {}, attrs, on}); });
  });
  for (size_t i : outputs.mutates)
    if (in[i] && !(outputs.rounds_anew && in[i].array().rounded)) in[i].storage->rounded = {};
  out.resize(outputs.visible);
  return out;
}

Tensor Runtime::reshape(const Tensor& x, const Shape& shape) {
  check(x.shape.elements() == shape.elements(), Code::Shape, "[reshape] ", x.shape, " has ",
        x.shape.elements(), " elements, ", shape, " has ", shape.elements());
  Tensor y = x;
  y.shape = shape;
  y.id = next_id_++;
  Outputs none{{}, 1, 0, 0};
  if (tape_.wants({&x, 1}, none)) {
    tape_.record(nullptr, {&x, 1}, {&y, 1}, none, {});
  }
  return y;
}

}  // namespace protea
