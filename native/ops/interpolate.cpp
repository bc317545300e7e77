// interpolate: resamples a grid with half-pixel centres, rows and columns apart
//   x (C, H, W) or, with channels_last, (H, W, C); attrs height, width, bicubic (0: bilinear),
//   antialias, offset, channels_last -> y of the new height and width
//   source coordinate = r (i + 0.5) - 0.5, r = in / (out + offset)
//   bicubic: cubic convolution a = -0.75, neighbours clamped to the border; bilinear: coordinate
//   clamped at 0; antialias: a = -0.5 (bicubic) or triangle, stretched by max(r, 1), cut at the
//   border and renormalised
//   saves nothing
//   Keys 1981, "Cubic convolution interpolation"; the conventions are PyTorch's
#include <algorithm>
#include <cmath>
#include <vector>

#include "../core/op.h"
#include "../kernels/taps.h"

namespace protea {

Outputs interpolate_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1 && is_floating(in[0].dtype), Code::Dtype,
        "[interpolate] takes one x of f32 or f64");
  const Tensor& x = in[0];
  check(x.rank() == 3 && x.shape.elements() > 0, Code::Shape,
        "[interpolate] x must be (C, H, W) or (H, W, C), got ", x.shape);
  int64_t height = attrs.integer("height"), width = attrs.integer("width");
  check(height > 0 && width > 0, Code::Shape, "[interpolate] height and width must be > 0, got ",
        height, " and ", width);
  bool last = attrs.integer("channels_last", 0);
  Shape shape = last ? Shape{height, width, x.dim(2)} : Shape{x.dim(0), height, width};
  Outputs outputs{{{shape, x.dtype}}};
  outputs.reads_in = outputs.reads_out = 0;
  return outputs;
}

namespace {

std::vector<std::vector<Tap>> axis(int64_t in, int64_t out, const Attrs& attrs) {
  Filter filter = attrs.integer("bicubic") ? Filter::Bicubic : Filter::Bilinear;
  return axis_taps(in, out, filter, attrs.integer("antialias", 0), attrs.number("offset", 0));
}

// Both layouts as planes x height x width x inner: (C, H, W, 1) or (1, H, W, C).
struct Grid {
  int64_t planes, height, width, inner;

  Grid(const Shape& shape, bool channels_last)
      : planes(channels_last ? 1 : shape.dim(0)),
        height(shape.dim(channels_last ? 0 : 1)),
        width(shape.dim(channels_last ? 1 : 2)),
        inner(channels_last ? shape.dim(2) : 1) {}

  int64_t at(int64_t plane, int64_t row, int64_t column) const {
    return ((plane * height + row) * width + column) * inner;
  }
};

// Calls body(input offset, output offset, weight) for every pair with a weight, in a fixed order.
template <class Body>
void each_pair(const Shape& in, const Shape& out, const Attrs& attrs, Body&& body) {
  bool last = attrs.integer("channels_last", 0);
  Grid from(in, last), to(out, last);
  auto rows = axis(from.height, to.height, attrs), columns = axis(from.width, to.width, attrs);
  for (int64_t plane = 0; plane < to.planes; plane++)
    for (int64_t y = 0; y < to.height; y++)
      for (int64_t x = 0; x < to.width; x++)
        for (const Tap& row : rows[y])
          for (const Tap& column : columns[x])
            body(from.at(plane, row.index, column.index), to.at(plane, y, x),
                 row.weight * column.weight);
}

void forward(const Run& run) {
  const Array &x = run.in[0], &y = run.out[0];
  int64_t inner = run.attrs.integer("channels_last", 0) ? x.dim(2) : 1;
  with_floating(x.dtype, [&]<class T>() {
    std::vector<double> sum(y.size());
    each_pair(x.shape, y.shape, run.attrs, [&](int64_t from, int64_t to, double weight) {
      for (int64_t c = 0; c < inner; c++) sum[to + c] += weight * x.as<T>()[from + c];
    });
    std::copy(sum.begin(), sum.end(), y.as<T>());
  });
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  const Array &x = run.in[0], &dy = run.dout[0];
  int64_t inner = run.attrs.integer("channels_last", 0) ? x.dim(2) : 1;
  with_floating(dy.dtype, [&]<class T>() {
    std::vector<double> sum(dx.array.size());
    each_pair(x.shape, dy.shape, run.attrs, [&](int64_t from, int64_t to, double weight) {
      for (int64_t c = 0; c < inner; c++) sum[from + c] += weight * dy.as<T>()[to + c];
    });
    T* to = dx.as<T>();
    for (size_t i = 0; i < sum.size(); i++)
      to[i] = static_cast<T>(dx.accumulate ? to[i] + sum[i] : sum[i]);
  });
}

}  // namespace

extern const Kernel interpolate_cpu = {forward, backward};

}  // namespace protea
