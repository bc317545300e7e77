// linear: y = x weightᵀ + bias
//   x (..., D), weight (K, D), bias (K) or none -> y (..., K)
//   saves nothing; backward reads x and weight
#include "../core/op.h"
#include "../core/parallel.h"
#include "../kernels/gemm.h"

namespace protea {

Outputs linear_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 3, Code::Shape, "[linear] takes x, weight and bias, got ", in.size());
  const Tensor &x = in[0], &weight = in[1], &bias = in[2];
  check(x.rank() >= 1 && is_floating(x.dtype), Code::Shape,
        "[linear] x must be (..., D) of f32 or f64, got ", x.shape, " of ", name_of(x.dtype));
  check(weight.rank() == 2 && weight.dim(1) == x.dim(-1), Code::Shape,
        "[linear] weight must be (K, ", x.dim(-1), "), got ", weight.shape);
  check(!bias || bias.shape == Shape{weight.dim(0)}, Code::Shape, "[linear] bias must be (",
        weight.dim(0), "), got ", bias.shape);
  check(weight.dtype == x.dtype && (!bias || bias.dtype == x.dtype), Code::Dtype,
        "[linear] x, weight and bias must have one dtype");
  Outputs outputs{{{x.shape.with_last(weight.dim(0)), x.dtype}}};
  outputs.reads_in = 0b011;
  outputs.reads_out = 0;
  return outputs;
}

namespace {

void forward(const Run& run) {
  const Array &x = run.in[0], &weight = run.in[1], &bias = run.in[2];
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  with_floating(x.dtype, [&]<class T>() {
    T* y = run.out[0].as<T>();
    gemm<T>(B, K, D, {x.as<T>(), D}, {weight.as<T>(), D, true}, y, K, false);
    if (!bias) return;
    const T* b = bias.as<T>();
    parallel_for(B, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++)
        for (int64_t k = 0; k < K; k++) y[i * K + k] += b[k];
    });
  });
}

// dx = dy weight, dweight = dyᵀ x, dbias = column sums of dy
void backward(const Run& run) {
  const Array &x = run.in[0], &weight = run.in[1], &dy = run.dout[0];
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  with_floating(x.dtype, [&]<class T>() {
    const T* d = dy.as<T>();
    if (const Gradient& dx = run.din[0])
      gemm<T>(B, D, K, {d, K}, {weight.as<T>(), D}, dx.as<T>(), D, dx.accumulate);
    if (const Gradient& dweight = run.din[1])
      gemm<T>(K, D, B, {d, K, true}, {x.as<T>(), D}, dweight.as<T>(), D, dweight.accumulate);
    if (const Gradient& dbias = run.din[2])
      parallel_for(K, 64, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; k++) {
          T sum = dbias.accumulate ? dbias.as<T>()[k] : T(0);
          for (int64_t i = 0; i < B; i++) sum += d[i * K + k];
          dbias.as<T>()[k] = sum;
        }
      });
  });
}

}  // namespace

extern const Kernel linear_cpu = {forward, backward};

}  // namespace protea
