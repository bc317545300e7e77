#include "kept_products.h"

#include "../cuda/gemm.h"
#include "../cuda/row_softmax.cuh"

namespace protea::gpu {
namespace {

// Block (x, y): part x of row y.
__global__ void row_kernel(KeptProducts kept, const float* bias, int64_t part, Running* partial) {
  const float* row = kept.data + blockIdx.y * kept.K;
  int64_t begin = blockIdx.x * part, end = begin + part < kept.K ? begin + part : kept.K;
  RowSoftmax running{-INFINITY, 0};
  for (int64_t k = begin + threadIdx.x; k < end; k += logits_at_once * blockDim.x) {
    float logit[logits_at_once];
#pragma unroll
    for (int n = 0; n < logits_at_once; n++) {
      int64_t at = k + n * blockDim.x;
      bool inside = at < end;
      logit[n] = inside ? kept.scale * row[at] + (bias ? bias[at] : 0) : -INFINITY;
    }
    take(running, logit);
  }
  float top = block_max(running.most);
  float sum = block_sum(running.sum * shrinkage(running.most, top));
  if (threadIdx.x == 0) partial[blockIdx.x * kept.rows + blockIdx.y] = {top, sum, 0};
}

// A thread a prototype.
__global__ void column_kernel(KeptProducts kept, const float* bias, Running* partial) {
  int64_t k = first_index();
  if (k >= kept.K) return;
  RowSoftmax running{-INFINITY, 0};
  for (int64_t r = 0; r < kept.rows; r += logits_at_once) {
    float logit[logits_at_once];
#pragma unroll
    for (int n = 0; n < logits_at_once; n++) {
      bool inside = r + n < kept.rows;
      float shift = inside && bias ? bias[r + n] : 0;
      logit[n] = inside ? kept.scale * kept.data[(r + n) * kept.K + k] + shift : -INFINITY;
    }
    take(running, logit);
  }
  partial[k] = {running.most, running.sum, 0};
}

}  // namespace

KeptProducts keep_products(Gpu& gpu, int slot, const Logits& logits) {
  const View &z = logits.z, &w = logits.w;
  int64_t count = z.rows * w.rows;
  bool fits = count > 0 && count * sizeof(float) <= gpu.cache_bytes() / 3 * 2 && z.rows <= 65535;
  if (!fits) return {nullptr, z.rows, w.rows, logits.scale};
  float* data = gpu.scratch<float>(slot, count);
  gemm(gpu, z.rows, w.rows, z.depth, {z.data, z.depth},
       {w.data, w.depth, true, logits.rounded, w.depth}, data, w.rows, false);
  return {data, z.rows, w.rows, logits.scale};
}

void row_parts(Gpu& gpu, const KeptProducts& kept, const float* bias, int64_t part,
               Running* partial) {
  dim3 blocks(static_cast<unsigned>(ceil_div(kept.K, part)), static_cast<unsigned>(kept.rows));
  GPU_LAUNCH(gpu, row_kernel, Grid{blocks, dim3(256)}, kept, bias, part, partial);
}

void column_parts(Gpu& gpu, const KeptProducts& kept, const float* bias, Running* partial) {
  GPU_LAUNCH(gpu, column_kernel, cover(kept.K, 256, INT64_MAX), kept, bias, partial);
}

}  // namespace protea::gpu
