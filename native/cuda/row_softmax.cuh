#pragma once
#include "rows.cuh"

namespace protea::gpu {

// The largest of a row's logits and the sum of e^(logit - most).
struct RowSoftmax {
  float most, sum;
};

constexpr int logits_at_once = 8;  // so many loads of a thread are under way together

// Takes a thread's next logits in: its sum shrinks once, when there is a larger one among them. NaN
// is never the largest, so it comes into the sum.
GPU_DEVICE void take(RowSoftmax& of, const float (&logits)[logits_at_once]) {
  float most = of.most;
#pragma unroll
  for (float logit : logits) most = fmaxf(most, logit);
  float base = most == -INFINITY ? 0 : most;  // nothing yet: all that is taken in is 0 or NaN
  of.sum *= expf(of.most - base);
#pragma unroll
  for (float logit : logits) of.sum += expf(logit - base);
  of.most = most;
}

// Of scale x, by one reading of the row; one of -infinity alone gives NaN.
template <bool whole_block>
GPU_DEVICE RowSoftmax row_softmax(const RowTeam<whole_block>& team, int64_t K, const float* x,
                                  float scale) {
  RowSoftmax of{-INFINITY, 0};
  for (int64_t first = team.index; first < K; first += logits_at_once * team.size) {
    float logits[logits_at_once];
#pragma unroll
    for (int n = 0; n < logits_at_once; n++) {
      int64_t k = first + n * team.size;
      float logit = scale * x[k < K ? k : K - 1];
      logits[n] = k < K ? logit : -INFINITY;
    }
    take(of, logits);
  }
  float top = team.max(of.most);
  return {top, team.sum(of.sum * expf(of.most - top))};
}

}  // namespace protea::gpu
