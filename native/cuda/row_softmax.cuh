#pragma once
#include "rows.cuh"

namespace protea::gpu {

// The largest of a row's logits and the sum of e^(logit - most).
struct RowSoftmax {
  float most, sum;
};

// Of scale x, by one reading of the row: a thread's sum shrinks when it meets a larger logit. It
// takes eight numbers at a time, so that eight loads are under way and the sum shrinks once.
// NaN is never the largest, so it comes into the sum; a row of -infinity alone gives NaN too.
template <bool whole_block>
GPU_DEVICE RowSoftmax row_softmax(const RowTeam<whole_block>& team, int64_t K, const float* x,
                                  float scale) {
  constexpr int at_once = 8;
  float most = -INFINITY, sum = 0;
  for (int64_t first = team.index; first < K; first += at_once * team.size) {
    float logits[at_once], next = most;
#pragma unroll
    for (int n = 0; n < at_once; n++) {
      int64_t k = first + n * team.size;
      float logit = scale * x[k < K ? k : K - 1];
      logits[n] = k < K ? logit : -INFINITY;
    }
#pragma unroll
    for (int n = 0; n < at_once; n++) next = fmaxf(next, logits[n]);
    float base = next == -INFINITY ? 0 : next;  // nothing yet: all that is taken in is 0 or NaN
    sum *= expf(most - base);
#pragma unroll
    for (int n = 0; n < at_once; n++) sum += expf(logits[n] - base);
    most = next;
  }
  float top = team.max(most);
  return {top, team.sum(sum * expf(most - top))};
}

}  // namespace protea::gpu
