#pragma once
#include "../cuda/gemm.h"
#include "../cuda/sums.cuh"

namespace protea::gpu {

// dx = dy weight, dweight = dyᵀ x, dbias = column sums of dy (B, K)
inline void linear_back(const Run& run, const float* dy) {
  const Array &x = run.in[0], &weight = run.in[1];
  Gpu& gpu = Gpu::of(run);
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  if (const Gradient& dx = run.din[0])
    gemm(gpu, B, D, K, {dy, K}, {weight.as<float>(), D}, dx.as<float>(), D, dx.accumulate);
  if (const Gradient& dweight = run.din[1])
    gemm(gpu, K, D, B, {dy, K, true}, {x.as<float>(), D}, dweight.as<float>(), D,
         dweight.accumulate);
  if (const Gradient& dbias = run.din[2])
    column_sums(gpu, Stored{dy, K}, B, K, dbias.as<float>(), dbias.accumulate);
}

}  // namespace protea::gpu
