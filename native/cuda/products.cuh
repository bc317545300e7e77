#pragma once
// Products of the rows of two matrices, tile by tile, with what is done to a row of a tile: the
// running softmax. Shared by the ops over prototypes.
#include "tile.cuh"

namespace protea::gpu {

constexpr int tile_rows = 64;                // rows, and columns, of a tile
constexpr int step_depth = 32;               // of the operands in shared memory
constexpr int score_stride = tile_rows + 1;  // of a tile's values in shared memory

template <class T>
constexpr int operand_size() {
  return tile_rows * tile_stride<T>(step_depth);
}

// product (64, 64) = rows i ... of a times rows j ... of b, over their whole depth.
template <class T, class A, class B>
GPU_DEVICE void multiply_rows(Tile<T, 4, 4>& product, const A& a, int64_t i, const B& b, int64_t j,
                              T* left, T* right) {
  constexpr int stride = tile_stride<T>(step_depth);
  product.clear();
  for (int64_t k = 0; k < a.depth; k += step_depth) {
    load_tile<tile_rows, step_depth>(left, stride, a, i, k);
    load_tile<tile_rows, step_depth>(right, stride, b, j, k);
    __syncthreads();
    product.multiply(left, stride, right, stride, step_depth);
    __syncthreads();
  }
}

// The n-th pair i <= j, counted column by column: (0, 0), (0, 1), (1, 1), (0, 2), ...
struct Pair {
  int64_t i, j;
};
GPU_DEVICE Pair triangle_pair(int64_t n) {
  auto j = static_cast<int64_t>((sqrt(8 * static_cast<double>(n) + 1) - 1) / 2);
  while (j * (j + 1) / 2 > n) j--;
  while ((j + 1) * (j + 2) / 2 <= n) j++;
  return {n - j * (j + 1) / 2, j};
}

// A row's softmax so far: the largest logit, Σ e^(logit - top), and Σ e^(logit - top) value.
struct Running {
  float top, sum, valued;
};

GPU_DEVICE Running empty_running() { return {-INFINITY, 0, 0}; }

// What sums relative to `from` must be multiplied by to be relative to `to`, `from` <= `to`.
GPU_DEVICE float shrinkage(float from, float to) { return from == to ? 1 : expf(from - to); }

// Takes the first `count` of 64 logits of a row in, by one warp: they become e^(logit - top) in p
// unless it is null. Returns, to all lanes, what older sums must be multiplied by.
template <class T>
GPU_DEVICE float take_row(const float* logits, int64_t count, const float* values, Running& running,
                          T* p) {
  int lane = lane_index();
  float a = lane < count ? logits[lane] : -INFINITY;
  float b = lane + 32 < count ? logits[lane + 32] : -INFINITY;
  Running before = running;
  float top = fmaxf(before.top, warp_max(fmaxf(a, b)));
  // A row whose logits are all -infinity stays empty; NaN goes on into the sums.
  float first = a == -INFINITY ? 0 : expf(a - top), second = b == -INFINITY ? 0 : expf(b - top);
  float sum = warp_sum(first + second);
  float valued = 0;
  if (values) {
    float x = lane < count ? first * values[lane] : 0;
    float y = lane + 32 < count ? second * values[lane + 32] : 0;
    valued = warp_sum(x + y);
  }
  if (p) {
    p[lane] = rounded<T>(first);
    p[lane + 32] = rounded<T>(second);
  }
  float shrink = shrinkage(before.top, top);
  __syncwarp();
  if (lane == 0) running = {top, before.sum * shrink + sum, before.valued * shrink + valued};
  return shrink;
}

}  // namespace protea::gpu
