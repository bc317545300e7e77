#pragma once
#include "../cuda/gemm.h"
#include "../cuda/sums.cuh"

namespace protea::gpu {

constexpr int rounded_slot = 1;  // slot 0 is linear_gelu's

// dx = dy weight, dweight = dyᵀ x, dbias = column sums of dy (B, K)
inline void linear_back(const Run& run, const float* dy) {
  const Array &x = run.in[0], &weight = run.in[1];
  Gpu& gpu = Gpu::of(run);
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  const Gradient &dx = run.din[0], &dweight = run.din[1];
  Matrix left{dy, K};
  if (dx && dweight) left = round_once(gpu, gpu.precision(), rounded_slot, left, B, K);
  if (dx) gemm(gpu, B, D, K, left, {weight.as<float>(), D}, dx.as<float>(), D, dx.accumulate);
  if (dweight)
    gemm(gpu, K, D, B, left.transposed(), {x.as<float>(), D}, dweight.as<float>(), D,
         dweight.accumulate);
  if (const Gradient& dbias = run.din[2])
    column_sums(gpu, Stored{dy, K}, B, K, dbias.as<float>(), dbias.accumulate);
}

}  // namespace protea::gpu
