#pragma once
#include "kept_products.h"

namespace protea::gpu {

// Sums over logits. Products are made again for each sum, in bf16 with operands rounded once for
// all, unless there are several sums and the card's second cache holds the products. Uses slots 6
// and 7 of working memory, and inner ones.
class LogSums {
 public:
  // `sums`: how many there will be.
  LogSums(Gpu& gpu, const Logits& logits, int64_t sums);

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
  Side side(const View& rows, int slot, const bf16* ready) const;
  void sums(const Side& own, const Side& other, const float* bias, const float* values, float sign,
            float* sum) const;
  void join(const Running* partial, int64_t parts, int64_t rows, float sign, bool mean,
            float* sum) const;

  Gpu& gpu_;
  Logits logits_;
  KeptProducts kept_;
  bool flash_;
  Side z_, w_;
};

}  // namespace protea::gpu
