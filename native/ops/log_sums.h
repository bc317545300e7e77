#pragma once
#include "prototype_rows.cuh"

namespace protea::gpu {

// Sums over logits of which no matrix is kept. In bf16 the operands are rounded once for all sums.
// Uses slots 6 and 7 of working memory, and inner ones.
class LogSums {
 public:
  LogSums(Gpu& gpu, const Logits& logits);

  // sum[r] = sign log Σ_k e^(scale z_r w_k + bias_k), over prototypes; bias null: 0.
  void over_prototypes(const float* bias, float sign, float* sum) const;
  // sum[k] = sign log Σ_r e^(scale z_r w_k + bias_r), over rows.
  void over_rows(const float* bias, float sign, float* sum) const;
  // mean[r] = Σ_k p_rk value_k
  void row_means(const float* values, float* mean) const;

 private:
  struct Side {
    View rows;
    const bf16* rounded;  // null: as they are
  };
  Side side(const View& rows, int slot) const;
  void sums(const Side& own, const Side& other, const float* bias, const float* values, float sign,
            float* sum) const;

  Gpu& gpu_;
  Logits logits_;
  bool flash_;
  Side z_, w_;
};

}  // namespace protea::gpu
