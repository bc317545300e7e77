// weight_norm: W_k = g_k v_k / ||v_k||_2, the prototypes of a DINO head
//   v (K, P), g (K, 1) or none (1) -> W (K, P)
//   saves ||v_k|| (K); backward reads v and g. A row of zeros stays zero and gets no gradient.
//   Salimans and Kingma 2016, "Weight normalization", eq. 2 and 3
#include <cmath>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../kernels/rows.h"

namespace protea {

Outputs weight_norm_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 2, Code::Shape, "[weight_norm] takes v and g, got ", in.size());
  const Tensor &v = in[0], &g = in[1];
  check(v.rank() == 2 && is_floating(v.dtype), Code::Shape,
        "[weight_norm] v must be (K, P) of f32 or f64, got ", v.shape, " of ", name_of(v.dtype));
  check(!g || (g.shape == Shape{v.dim(0), 1} && g.dtype == v.dtype), Code::Shape,
        "[weight_norm] g must be (", v.dim(0), ", 1) of v's dtype, got ", g.shape);
  Outputs outputs{{{v.shape, v.dtype}, {Shape{v.dim(0)}, v.dtype}}};
  outputs.reads_out = 0b10;
  return outputs;
}

namespace {

constexpr int64_t grain = 64;  // rows

void forward(const Run& run) {
  const Array &v = run.in[0], &g = run.in[1];
  int64_t P = v.dim(1);
  with_floating(v.dtype, [&]<class T>() {
    parallel_for(v.dim(0), grain, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        const T* from = v.as<T>() + k * P;
        T norm = std::sqrt(rows<T>().dot(P, from, from));
        T scale = norm > 0 ? (g ? g.as<T>()[k] : T(1)) / norm : T(0);
        run.out[1].as<T>()[k] = norm;
        T* to = run.out[0].as<T>() + k * P;
        for (int64_t p = 0; p < P; p++) to[p] = scale * from[p];
      }
    });
  });
}

// dg = <dW, v> / ||v||;  dv = g / ||v|| (dW - v <dW, v> / ||v||^2)
template <class T>
void back_row(const Run& run, int64_t k) {
  int64_t P = run.in[0].dim(1);
  const T *v = run.in[0].as<T>() + k * P, *dw = run.dout[0].as<T>() + k * P;
  T norm = run.out[1].as<T>()[k], inverse = norm > 0 ? 1 / norm : T(0);
  T along = rows<T>().dot(P, dw, v) * inverse;
  T g = run.in[1] ? run.in[1].as<T>()[k] : T(1);
  if (const Gradient& dv = run.din[0]) {
    T* to = dv.as<T>() + k * P;
    if (!dv.accumulate) std::fill_n(to, P, T(0));
    rows<T>().axpy(P, g * inverse, dw, to);
    rows<T>().axpy(P, -g * along * inverse * inverse, v, to);
  }
  if (const Gradient& dg = run.din[1]) {
    T* to = dg.as<T>() + k;
    *to = dg.accumulate ? *to + along : along;
  }
}

void backward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() {
    parallel_for(run.in[0].dim(0), grain, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) back_row<T>(run, k);
    });
  });
}

}  // namespace

extern const Kernel weight_norm_cpu = {forward, backward};

}  // namespace protea
