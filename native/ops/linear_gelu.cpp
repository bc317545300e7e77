// linear_gelu: y = GELU(u), u = x weightᵀ + bias, GELU(u) = u Φ(u) with the exact Φ (erf)
//   x (..., D), weight (K, D), bias (K) or none, attrs rounded (op.h) -> y (..., K)
//   saves u (..., K), stored like y; backward reads x, weight and u
//   Hendrycks and Gimpel 2016, "Gaussian error linear units"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "../kernels/elementwise.h"
#include "linear.h"

namespace protea {

Outputs linear_gelu_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check_linear("[linear_gelu]", in);
  Spec y{in[0].shape.with_last(in[1].dim(0)), stored_dtype(in[0], attrs)};
  Outputs outputs{{y, y}};
  outputs.reads_in = 0b011;
  outputs.rounded = rounded_parameters(outputs);
  outputs.reads_out = 0b10;
  return outputs;
}

namespace {

constexpr int64_t grain = 1 << 14;

void forward(const Run& run) {
  const Array &x = run.in[0], &weight = run.in[1], &bias = run.in[2];
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  with_floating(x.dtype, [&]<class T>() {
    Epilogue<T> epilogue{bias.as<T>(), run.out[0].as<T>(), K};
    gemm<T>(B, K, D, {x.as<T>(), D}, {weight.as<T>(), D, true}, run.out[1].as<T>(), K, false,
            epilogue);
  });
}

void backward(const Run& run) {
  const Array &u = run.out[1], &dy = run.dout[0];
  with_floating(u.dtype, [&]<class T>() {
    T* du = scratch<T>(0, u.size());
    parallel_for(u.size(), grain, [&](int64_t begin, int64_t end) {
      elementwise<T>().gelu_back(end - begin, u.as<T>() + begin, dy.as<T>() + begin, du + begin,
                                 false);
    });
    linear_back<T>(run, du);
  });
}

}  // namespace

extern const Kernel linear_gelu_cpu = {forward, backward};

}  // namespace protea
