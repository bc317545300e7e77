// slice_rows: y = x[begin : end] along the first dimension
//   x (R, ...), attrs begin, end -> y (end - begin, ...)
//   saves nothing
#include <algorithm>

#include "../core/op.h"

namespace protea {

Outputs slice_rows_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1 && is_floating(in[0].dtype), Code::Dtype,
        "[slice_rows] takes one x of f32 or f64");
  const Tensor& x = in[0];
  int64_t begin = attrs.integer("begin"), end = attrs.integer("end");
  check(x.rank() >= 1 && begin >= 0 && begin <= end && end <= x.dim(0), Code::Shape,
        "[slice_rows] rows [", begin, ", ", end, ") are not in x ", x.shape);
  std::array<int64_t, Shape::max_rank> dims{};
  std::copy(x.shape.dims().begin(), x.shape.dims().end(), dims.begin());
  dims[0] = end - begin;
  Shape shape(std::span<const int64_t>(dims.data(), static_cast<size_t>(x.rank())));
  Outputs outputs{{{shape, x.dtype}}};
  outputs.reads_in = outputs.reads_out = 0;
  return outputs;
}

namespace {

void forward(const Run& run) {
  const Array &x = run.in[0], &y = run.out[0];
  int64_t row = x.dim(0) ? x.size() / x.dim(0) : 0;
  with_floating(x.dtype, [&]<class T>() {
    std::copy_n(x.as<T>() + run.attrs.integer("begin") * row, y.size(), y.as<T>());
  });
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  const Array& dy = run.dout[0];
  int64_t row = dx.array.dim(0) ? dx.array.size() / dx.array.dim(0) : 0;
  with_floating(dy.dtype, [&]<class T>() {
    T* to = dx.as<T>();
    if (!dx.accumulate) std::fill_n(to, dx.array.size(), T(0));
    to += run.attrs.integer("begin") * row;
    for (int64_t i = 0; i < dy.size(); i++) to[i] += dy.as<T>()[i];
  });
}

}  // namespace

extern const Kernel slice_rows_cpu = {forward, backward};

}  // namespace protea
