#pragma once
#include <span>
#include <string>
#include <vector>

#include "attrs.h"
#include "tensor.h"

namespace protea {

// Where a gradient goes. Not given: the caller has no use for it (mode ignore). Otherwise the
// kernel overwrites the array, or adds to it when `accumulate` is set.
struct Gradient {
  Array array;
  bool accumulate = false;

  explicit operator bool() const { return array.given; }
  template <class T>
  T* as() const {
    return array.as<T>();
  }
};

class Accelerator;

// One execution of an op. Forward reads `in` and writes `out`; backward reads `in`, `out` and
// `dout` (one per visible output, not given when no gradient reached it) and writes each `din` that
// is given. Arrays that backward said it does not read have no data.
struct Run {
  std::span<const Array> in;
  std::span<const Array> out;
  std::span<const Array> dout;
  std::span<const Gradient> din;
  const Attrs& attrs;
  Accelerator* accelerator = nullptr;  // where a CUDA kernel is launched
};

struct Kernel {
  void (*forward)(const Run&) = nullptr;
  void (*backward)(const Run&) = nullptr;  // null: the op has no gradient
};

struct Spec {
  Shape shape;
  Dtype dtype;
};

// What a call makes. The visible outputs come first; the rest is saved for backward.
struct Outputs {
  std::vector<Spec> specs;
  size_t visible = 1;
  // Bit i: backward reads in[i] (out[i]). The tape keeps nothing else alive.
  uint64_t reads_in = ~uint64_t{0};
  uint64_t reads_out = ~uint64_t{0};
  // Bit i: in[i] is a constant, as targets and masks are: no gradient flows to it, even if it is
  // tracked. Backward must write every other gradient that it is given.
  uint64_t constants = 0;
  // Bit i: the gradient of in[i] is that of out[0], number for number. They then share memory where
  // nothing else flows to in[i]; backward still writes the gradients that it is given.
  uint64_t passed = 0;
  // Bit i: products read in[i], a parameter, rounded. Where a GPU computes them in bf16, the
  // runtime rounds it once for all ops until it changes (Array::rounded).
  uint64_t rounded = 0;
  // Inputs the op changes in place. Such an op is never recorded.
  std::vector<size_t> mutates = {};
  // It rounds them anew itself, where they are rounded (Array::rounded).
  bool rounds_anew = false;

  bool reads_input(size_t i) const { return i >= 64 || (reads_in >> i & 1); }
  bool reads_output(size_t i) const { return i >= 64 || (reads_out >> i & 1); }
  bool is_constant(size_t i) const { return i < 64 && (constants >> i & 1); }
  bool is_passed(size_t i) const { return i < 64 && (passed >> i & 1); }
  bool is_rounded(size_t i) const { return i < 64 && (rounded >> i & 1); }
};

// What an op is: one value of this struct, made from one line of ops/list.h.
struct Op {
  const char* name;
  Outputs (*infer)(std::span<const Tensor> in, const Attrs& attrs);  // the only place that checks
  const Kernel* cpu;
  const Kernel* cuda;  // null in a CPU-only build

  const Kernel& kernel(Device device) const {
    const Kernel* found = device == Device::Cuda ? cuda : cpu;
    check(found, Code::Unsupported, "[", name, "] has no ", name_of(device),
          " kernel in this build");
    return *found;
  }
};

// Defined by ops/table.cpp. Throws for an unknown name.
const Op& op(const std::string& name);
std::span<const Op> all_ops();

// The dtype of an output that only products, attention or a residual sum read. Attr rounded = 1: a
// GPU that computes in bf16 (run.precision) stores it as those round it, and its gradient too.
// Elsewhere the attr changes nothing.
inline Dtype stored_dtype(const Tensor& x, const Attrs& attrs) {
  if (x.device == Device::Cuda && attrs.number("rounded", 0) != 0) return Dtype::BF16;
  return x.dtype == Dtype::BF16 ? Dtype::F32 : x.dtype;
}

// Calls body.template operator()<T>() with T = float or double.
template <class Body>
decltype(auto) with_floating(Dtype dtype, const Body& body) {
  if (dtype == Dtype::F64) return body.template operator()<double>();
  return body.template operator()<float>();
}

}  // namespace protea
