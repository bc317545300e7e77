// One execution of a case on one device: inputs made and drawn, forward, backward twice.
#include <cmath>
#include <cstring>

#include "../../../core/random.h"
#include "../../../cuda/device.h"
#include "agreement.h"

namespace protea::test {
namespace {

// All that one execution reads and writes, on one device.
struct Side {
  Runtime& runtime;
  Device device;
  Dtype real;
  std::vector<Tensor> in, out, dout, din;
};

Dtype dtype_on(const Side& side, Dtype dtype) {
  bool half = dtype == Dtype::BF16 && side.device == Device::Cuda;
  return has_gradient(dtype) && !half ? side.real : dtype;
}

// To nearest; ties do not matter here.
uint16_t upper_half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x8000) >> 16);
}

float from_upper(uint16_t half) {
  uint32_t bits = uint32_t{half} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void write(Side& side, const Tensor& tensor, const Values& values) {
  std::vector<char> bytes(tensor.bytes());
  for (size_t i = 0; i < values.size(); i++) {
    void* at = bytes.data() + i * size_of(tensor.dtype);
    auto put = [&]<class T>(T value) { std::memcpy(at, &value, sizeof value); };
    if (tensor.dtype == Dtype::F64) put(values[i]);
    if (tensor.dtype == Dtype::F32) put(static_cast<float>(values[i]));
    if (tensor.dtype == Dtype::BF16) put(upper_half(static_cast<float>(values[i])));
    if (tensor.dtype == Dtype::I32) put(static_cast<int32_t>(values[i]));
    if (tensor.dtype == Dtype::U8) put(static_cast<uint8_t>(values[i]));
  }
  side.runtime.write(tensor, bytes.data());
}

Values read(Side& side, const Tensor& tensor) {
  std::vector<char> bytes(tensor.bytes());
  side.runtime.read(tensor, bytes.data());
  side.runtime.wait();
  Values values(tensor.shape.elements());
  for (size_t i = 0; i < values.size(); i++) {
    const char* at = bytes.data() + i * size_of(tensor.dtype);
    auto get = [&]<class T>(T value) {
      std::memcpy(&value, at, sizeof value);
      return static_cast<double>(value);
    };
    if (tensor.dtype == Dtype::F64) values[i] = get(double());
    if (tensor.dtype == Dtype::F32) values[i] = get(float());
    if (tensor.dtype == Dtype::BF16) values[i] = from_upper(static_cast<uint16_t>(get(uint16_t())));
    if (tensor.dtype == Dtype::I32) values[i] = get(int32_t());
    if (tensor.dtype == Dtype::U8) values[i] = get(uint8_t());
  }
  return values;
}

// Values that the input's dtype holds exactly, so both sides get the same.
Values drawn(const Input& input, uint32_t stream) {
  Philox random({7, 0, stream, 0});
  Values values(input.shape.elements());
  bool whole = !has_gradient(input.dtype), half = input.dtype == Dtype::BF16;
  for (double& value : values) {
    double x = random.uniform(input.low, input.high);
    auto single = static_cast<float>(x);
    value = whole ? std::floor(x) : half ? from_upper(upper_half(single)) : single;
  }
  return values;
}

Tensor made(Side& side, const Shape& shape, Dtype dtype, const Values* values) {
  Tensor tensor = side.runtime.make(shape, dtype_on(side, dtype), side.device);
  if (values) write(side, tensor, *values);
  return tensor;
}

std::vector<Array> arrays(const std::vector<Tensor>& tensors) {
  std::vector<Array> result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.array());
  return result;
}

Attrs attrs_of(const Case& c) {
  Attrs attrs;
  for (const auto& [name, values] : c.attrs) attrs.set(name, values);
  return attrs;
}

void make_inputs(Side& side, const Case& c) {
  for (size_t i = 0; i < c.in.size(); i++) {
    if (!c.in[i].given) {
      side.in.push_back({});
      continue;
    }
    Values values = drawn(c.in[i], static_cast<uint32_t>(i));
    side.in.push_back(made(side, c.in[i].shape, c.in[i].dtype, &values));
  }
}

Outputs run_forward(Side& side, const Case& c) {
  const Op& found = op(c.op);
  Attrs attrs = attrs_of(c);
  Outputs outputs = found.infer(side.in, attrs);
  for (const Spec& spec : outputs.specs)
    side.out.push_back(side.runtime.make(spec.shape, spec.dtype, side.device));
  Accelerator* on = side.device == Device::Cuda ? &side.runtime.accelerator() : nullptr;
  side.runtime.queue().push([&, on] {
    found.kernel(side.device).forward({arrays(side.in), arrays(side.out), {}, {}, attrs, on});
  });
  side.runtime.wait();
  return outputs;
}

// What backward said it does not read is kept from it.
std::vector<Array> kept(const std::vector<Tensor>& tensors, uint64_t reads) {
  std::vector<Array> result = arrays(tensors);
  for (size_t i = 0; i < result.size(); i++)
    if (!(reads >> i & 1)) result[i].data = nullptr;
  return result;
}

void run_backward(Side& side, const Case& c, const Outputs& outputs, bool accumulate) {
  const Op& found = op(c.op);
  Attrs attrs = attrs_of(c);
  side.din.clear();
  side.dout.clear();
  std::vector<Gradient> din(side.in.size());
  for (size_t i = 0; i < side.in.size(); i++) {
    bool wanted = c.in[i].wanted && side.in[i] && has_gradient(c.in[i].dtype);
    Values start(wanted ? c.in[i].shape.elements() : 0, 0.5);
    side.din.push_back(wanted
                           ? made(side, c.in[i].shape, c.in[i].dtype, accumulate ? &start : nullptr)
                           : Tensor{});
    if (wanted) din[i] = {side.din[i].array(), accumulate};
  }
  for (size_t i = 0; i < outputs.visible; i++) {
    Dtype dtype = side.out[i].dtype;
    Input upstream{side.out[i].shape, Dtype::F32, -1, 1};
    Values values = drawn(upstream, static_cast<uint32_t>(100 + i));
    side.dout.push_back(has_gradient(dtype) ? made(side, side.out[i].shape, dtype, &values)
                                            : Tensor{});
  }
  Accelerator* on = side.device == Device::Cuda ? &side.runtime.accelerator() : nullptr;
  side.runtime.queue().push([&, on, din] {
    found.kernel(side.device)
        .backward({kept(side.in, outputs.reads_in), kept(side.out, outputs.reads_out),
                   arrays(side.dout), din, attrs, on});
  });
  side.runtime.wait();
}

}  // namespace

Results results(Runtime& runtime, const Case& c, Device device, Dtype real) {
  Results found;
  Side side{runtime, device, real, {}, {}, {}, {}};
  if (device == Device::Cuda) runtime.accelerator().set_precision(c.precision);
  make_inputs(side, c);
  Outputs outputs = run_forward(side, c);
  for (size_t i = 0; i < outputs.visible; i++)
    if (!(c.skipped_outputs >> i & 1))
      found.emplace_back("output " + std::to_string(i), read(side, side.out[i]));
  for (size_t i : c.changed)
    found.emplace_back("changed " + std::to_string(i), read(side, side.in[i]));
  if (!op(c.op).kernel(device).backward) return found;
  for (bool accumulate : {false, true}) {
    run_backward(side, c, outputs, accumulate);
    for (size_t i = 0; i < side.din.size(); i++)
      if (side.din[i])
        found.emplace_back((accumulate ? "accumulated gradient " : "gradient ") + std::to_string(i),
                           read(side, side.din[i]));
  }
  return found;
}

std::string name_of(const Case& c) {
  std::string name = c.op + (c.precision == Precision::BF16 ? " in bf16" : "");
  if (c.small_card) name += " on a small card";
  if (!c.attrs.empty() && c.attrs[0].first == "rounded") name += " to bf16";
  for (const Input& input : c.in) {
    std::ostringstream shape;
    shape << " " << input.shape;
    if (input.dtype == Dtype::BF16) shape << " of bf16";
    name += input.given ? shape.str() : " -";
  }
  return name;
}

Worst worst_error(const Case& c, const Values& got, const Values& truth) {
  double largest = c.least;
  Worst worst;
  for (double value : truth) largest = std::fmax(largest, std::fabs(value));
  for (size_t i = 0; i < truth.size(); i++) {
    double error = std::fabs(got[i] - truth[i]) / largest;
    bool same = got[i] == truth[i] || (std::isnan(got[i]) && std::isnan(truth[i]));
    if (std::isnan(error)) error = INFINITY;
    if (!same && error > worst.value) worst = {error, i};
  }
  return worst;
}

}  // namespace protea::test
