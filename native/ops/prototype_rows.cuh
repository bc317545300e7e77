#pragma once
// What the CUDA ops over prototypes share: logits of rows, and their log-sum-exp without a matrix
// of logits.
#include "../cuda/products.cuh"

namespace protea::gpu {

// Rows z (R, P) against prototypes w (K, P): logits scale z wᵀ + bias.
struct Logits {
  View z, w;
  const float* bias;  // (K) or null
  float scale;

  Logits(const float* z, int64_t rows, const float* w, int64_t K, int64_t P, const float* bias,
         double temperature)
      : z{z, rows, P, P, 1},
        w{w, K, P, P, 1},
        bias(bias),
        scale(static_cast<float>(1 / temperature)) {}

  GPU_DEVICE float at(float product, int64_t k) const {
    return scale * product + (bias ? bias[k] : 0);
  }
  // Prototypes as rows against the rows: column sums become row sums. The bias is one per row then.
  Logits turned(const float* row_bias) const {
    Logits result = *this;
    result.z = w;
    result.w = z;
    result.bias = row_bias;
    return result;
  }
};

constexpr int running_slot = Gpu::first_inner_slot + 3;

// Block (x, y): 64 rows over the y-th part of the prototypes; leaves their running softmax, valued
// by `values` (K) unless null.
template <class T>
__global__ void __launch_bounds__(tile_threads)
    log_sum_kernel(Logits logits, const float* values, int64_t part, Running* partial) {
  GPU_SHARED(T, left, [operand_size<T>()]);
  GPU_SHARED(T, right, [operand_size<T>()]);
  GPU_SHARED(float, scores, [tile_rows * score_stride]);
  GPU_SHARED(Running, running, [tile_rows]);
  int64_t row = static_cast<int64_t>(blockIdx.x) * tile_rows;
  int64_t K = logits.w.rows, begin = blockIdx.y * part, end = begin + part < K ? begin + part : K;
  if (threadIdx.x < tile_rows) running[threadIdx.x] = empty_running();
  for (int64_t k = begin; k < end; k += tile_rows) {
    Tile<T, 4, 4> product;
    multiply_rows(product, logits.z, row, logits.w, k, left, right);
    product.each([&](int i, int j, float s) {
      scores[i * score_stride + j] = k + j < K ? logits.at(s, k + j) : 0;
    });
    __syncthreads();
    for (int r = warp_index(); r < tile_rows; r += tile_threads / 32)
      take_row<T>(scores + r * score_stride, end - k, values ? values + k : nullptr, running[r],
                  nullptr);
    __syncthreads();
  }
  if (threadIdx.x < tile_rows && row + threadIdx.x < logits.z.rows)
    partial[blockIdx.y * logits.z.rows + row + threadIdx.x] = running[threadIdx.x];
}

// sum[r] = sign log Σ_k e^logit_rk, or Σ_k p_rk value_k when `mean`
[[maybe_unused]] static __global__ void join_log_sums_kernel(const Running* partial, int64_t parts,
                                                             int64_t rows, float sign, bool mean,
                                                             float* sum) {
  for (int64_t r = first_index(); r < rows; r += index_stride()) {
    float top = -INFINITY, total = 0, valued = 0;
    for (int64_t p = 0; p < parts; p++) top = fmaxf(top, partial[p * rows + r].top);
    for (int64_t p = 0; p < parts; p++) {
      float share = shrinkage(partial[p * rows + r].top, top);
      total += partial[p * rows + r].sum * share;
      valued += partial[p * rows + r].valued * share;
    }
    sum[r] = sign * (mean ? valued / total : top + logf(total));
  }
}

// Prototypes per part, a multiple of 64, so that all processors have work.
inline int64_t part_size(const Gpu& gpu, int64_t rows, int64_t K) {
  int64_t tiles = (rows + tile_rows - 1) / tile_rows, blocks = (K + tile_rows - 1) / tile_rows;
  int64_t wanted = (2 * gpu.processors() + tiles - 1) / tiles;
  int64_t parts = wanted < blocks ? wanted : blocks;
  return (blocks + parts - 1) / parts * tile_rows;
}

template <class T>
void log_sums_in(Gpu& gpu, const Logits& logits, const float* values, float sign, float* sum) {
  int64_t rows = logits.z.rows, part = part_size(gpu, rows, logits.w.rows);
  int64_t parts = (logits.w.rows + part - 1) / part;
  Running* partial = gpu.scratch<Running>(running_slot, parts * rows);
  dim3 blocks(static_cast<unsigned>((rows + tile_rows - 1) / tile_rows),
              static_cast<unsigned>(parts));
  GPU_LAUNCH(gpu, log_sum_kernel<T>, Grid{blocks, dim3(tile_threads)}, logits, values, part,
             partial);
  GPU_LAUNCH(gpu, join_log_sums_kernel, cover(rows), partial, parts, rows, sign, values != nullptr,
             sum);
}

// sum (R) = sign log Σ_k e^logit, for each row.
inline void log_sums(Gpu& gpu, const Logits& logits, float sign, float* sum) {
  if (gpu.precision() == Precision::F32)
    log_sums_in<float>(gpu, logits, nullptr, sign, sum);
  else
    log_sums_in<bf16>(gpu, logits, nullptr, sign, sum);
}

// mean (R) = Σ_k p_rk value_k, for each row.
inline void row_means(Gpu& gpu, const Logits& logits, const float* values, float* mean) {
  if (gpu.precision() == Precision::F32)
    log_sums_in<float>(gpu, logits, values, 1, mean);
  else
    log_sums_in<bf16>(gpu, logits, values, 1, mean);
}

}  // namespace protea::gpu
