#pragma once
// The running softmax of the rows that a warp keeps.
#include "products.cuh"
#include "warp_rows.cuh"

namespace protea::gpu {

// The row of the block that a lane keeps.
GPU_DEVICE int row_of_lane(int upper) { return warp_index() * 16 + lane_index() / 4 + 8 * upper; }

// e^x
GPU_DEVICE float exponential(float x) { return exp2f(x * 1.44269504f); }

// The softmax of a lane's two rows so far; its sums are those of its own columns.
struct TwoRows {
  float top[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, valued[2] = {0, 0};

  // Logits become e^(logit - top), `add(upper, column, e)` is called for each. Returns what older
  // sums were multiplied by.
  template <int N, class Add>
  GPU_DEVICE float2 take(WarpRows<N>& logits, const Add& add) {
    float most[2] = {top[0], top[1]}, shrink[2];
    logits.each([&](int upper, int, float l) { most[upper] = fmaxf(most[upper], l); });
    for (int r = 0; r < 2; r++) {
      most[r] = quad_max(most[r]);
      shrink[r] = shrinkage(top[r], most[r]);
      top[r] = most[r];
      sum[r] *= shrink[r];
      valued[r] *= shrink[r];
    }
    logits.each([&](int upper, int j, float& l) {
      l = l == -INFINITY ? 0 : exponential(l - top[upper]);
      sum[upper] += l;
      add(upper, j, l);
    });
    return make_float2(shrink[0], shrink[1]);
  }
  template <int N>
  GPU_DEVICE float2 take(WarpRows<N>& logits) {
    return take(logits, [](int, int, float) {});
  }
  // Values of the columns are added up by these weights.
  template <int N>
  GPU_DEVICE float2 take(WarpRows<N>& logits, const Columns<N>& values) {
    return take(logits, [&](int upper, int j, float e) { valued[upper] += e * values.of(j); });
  }

  // Leaves the softmax of each row of the block that is below `rows` in `to`.
  GPU_DEVICE void leave(Running* to, int64_t rows) const {
    for (int upper = 0; upper < 2; upper++) {
      Running running = {top[upper], quad_sum(sum[upper]), quad_sum(valued[upper])};
      int64_t r = row_of_lane(upper);
      if (lane_index() % 4 == 0 && r < rows) to[r] = running;
    }
  }
};

}  // namespace protea::gpu
