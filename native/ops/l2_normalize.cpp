// l2_normalize: y = x / max(||x||_2, eps) over the last dimension
//   x (..., D), attrs eps > 0 -> y (..., D)
//   saves ||x|| (rows); backward reads y. Where ||x|| < eps the map is x / eps, with that gradient.
#include <algorithm>
#include <cmath>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../kernels/rows.h"

namespace protea {

Outputs l2_normalize_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1, Code::Shape, "[l2_normalize] takes one x, got ", in.size());
  const Tensor& x = in[0];
  check(x.rank() >= 1 && is_floating(x.dtype), Code::Shape,
        "[l2_normalize] x must be (..., D) of f32 or f64, got ", x.shape, " of ", name_of(x.dtype));
  check(attrs.number("eps") > 0, Code::Unsupported, "[l2_normalize] eps must be > 0");
  Outputs outputs{{{x.shape, x.dtype}, {Shape{x.shape.rows()}, x.dtype}}};
  outputs.reads_in = 0;
  return outputs;
}

namespace {

constexpr int64_t grain = 64;  // rows

void forward(const Run& run) {
  const Array& x = run.in[0];
  int64_t D = x.dim(-1);
  with_floating(x.dtype, [&]<class T>() {
    T eps = static_cast<T>(run.attrs.number("eps"));
    parallel_for(x.shape.rows(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const T* from = x.as<T>() + i * D;
        T* y = run.out[0].as<T>() + i * D;
        T norm = std::sqrt(rows<T>().dot(D, from, from));
        run.out[1].as<T>()[i] = norm;
        std::copy_n(from, D, y);
        rows<T>().scale(D, 1 / std::max(norm, eps), y);
      }
    });
  });
}

// dx = (dy - y <y, dy>) / ||x||, or dy / eps below it
template <class T>
void back_row(int64_t D, const T* y, const T* dy, T norm, T eps, T* dx) {
  T inverse = 1 / std::max(norm, eps);
  rows<T>().axpy(D, inverse, dy, dx);
  if (norm >= eps) rows<T>().axpy(D, -inverse * rows<T>().dot(D, y, dy), y, dx);
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  const Array& y = run.out[0];
  int64_t D = y.dim(-1);
  with_floating(y.dtype, [&]<class T>() {
    T eps = static_cast<T>(run.attrs.number("eps"));
    parallel_for(y.shape.rows(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        T* to = dx.as<T>() + i * D;
        if (!dx.accumulate) std::fill_n(to, D, T(0));
        back_row(D, y.as<T>() + i * D, run.dout[0].as<T>() + i * D, run.out[1].as<T>()[i], eps, to);
      }
    });
  });
}

}  // namespace

extern const Kernel l2_normalize_cpu = {forward, backward};

}  // namespace protea
