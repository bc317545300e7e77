#pragma once
#include "../cuda/gemm.h"
#include "../cuda/stored.cuh"
#include "../cuda/sums.cuh"

namespace protea::gpu {

constexpr int rounded_slot = 1;  // slot 0 is linear_gelu's

// y = x weightᵀ + bias, and what the epilogue makes of it.
inline void linear_forward(const Run& run, const Array& y, Target gelu = {}) {
  const Array &x = run.in[0], &weight = run.in[1], &bias = run.in[2];
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  gemm(Gpu::of(run), B, K, D, matrix_of(x, D), matrix_of(weight, D, true), Target(y), K, false,
       {bias.as<float>(), gelu, static_cast<const bf16*>(bias.rounded)});
}

inline void put_bias_gradient(Gpu& gpu, const Array& dy, const Gradient& dbias) {
  if (!dbias) return;
  int64_t K = dy.dim(-1);
  with_stored(dy, [&]<class T>() {
    column_sums(gpu, Stored<T>{dy.as<T>(), K}, dy.shape.rows(), K, dbias.as<float>(),
                dbias.accumulate);
  });
}

// dx = dy weight, dweight = dyᵀ x, dbias = column sums of dy (B, K)
inline void linear_back(const Run& run, const Array& dy) {
  const Array &x = run.in[0], &weight = run.in[1];
  Gpu& gpu = Gpu::of(run);
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  const Gradient &dx = run.din[0], &dweight = run.din[1];
  Matrix left = matrix_of(dy, K);
  if (dx && dweight) left = round_once(gpu, gpu.precision(), rounded_slot, left, B, K);
  if (dx) gemm(gpu, B, D, K, left, matrix_of(weight, D), Target(dx.array), D, dx.accumulate);
  if (dweight)
    gemm(gpu, K, D, B, left.transposed(), matrix_of(x, D), dweight.as<float>(), D,
         dweight.accumulate);
  put_bias_gradient(gpu, dy, run.din[2]);
}

}  // namespace protea::gpu
