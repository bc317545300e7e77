#pragma once
#include <cstdint>

#include "isa.h"

namespace protea {

// Row operations on (rows, D) blocks, contiguous.
template <class T>
struct Rows {
  // y = (x - mean) rstd weight + bias; mean and rstd (rows) are saved.
  void (*layer_norm)(int64_t rows, int64_t D, const T* x, const T* weight, const T* bias, T eps,
                     T* y, T* mean, T* rstd);
  void (*layer_norm_dx)(int64_t rows, int64_t D, const T* x, const T* weight, const T* mean,
                        const T* rstd, const T* dy, T* dx, bool accumulate);
  // Sums over the rows: dweight = dy (x - mean) rstd, dbias = dy.
  void (*layer_norm_dparameters)(int64_t rows, int64_t D, const T* x, const T* mean, const T* rstd,
                                 const T* dy, T* dweight, T* dbias);
  // y = softmax(scale x), scale > 0; the log-sum-exp of scale x goes to lse unless null. y may be
  // x.
  void (*softmax)(int64_t rows, int64_t D, const T* x, T scale, T* y, T* lse);
  // y = exp(scale x - lse), again of sum 1: where scores are large the rounding of lse scales a row,
  // which its gradient, a difference of nearly equal numbers, would not bear.
  void (*softmax_again)(int64_t rows, int64_t D, const T* x, T scale, const T* lse, T* y);
  // dx = scale p (dp - sum p dp); dx may be dp.
  void (*softmax_back)(int64_t rows, int64_t D, const T* p, const T* dp, T scale, T* dx,
                       bool accumulate);
  T (*dot)(int64_t n, const T* a, const T* b);
  // y += s x
  void (*axpy)(int64_t n, T s, const T* x, T* y);
  T (*largest)(int64_t n, const T* x);
  T (*sum)(int64_t n, const T* x);
  // x *= s
  void (*scale)(int64_t n, T s, T* x);
  // y = s x
  void (*scaled_copy)(int64_t n, T s, const T* x, T* y);
  // x = s x + bias (null: none); returns the largest.
  T (*affine_largest)(int64_t n, T s, const T* bias, T* x);
  // x = exp(x - shift); returns the sum.
  T (*exp_sum)(int64_t n, T shift, T* x);
  // Over x (n, m), rows `stride` apart, one value a column j:
  // x = s x + bias[i] (null: none); top[j] = the larger of top[j] and x
  void (*columns_affine_largest)(int64_t n, int64_t m, int64_t stride, T s, const T* bias, T* x,
                                 T* top);
  // x = exp(x - shift[j]); sum[j] += x
  void (*columns_exp_sum)(int64_t n, int64_t m, int64_t stride, const T* shift, T* x, T* sum);
  // sum[j] += x y, both with rows `stride` apart
  void (*columns_product_sum)(int64_t n, int64_t m, int64_t stride, const T* x, const T* y, T* sum);
  // y = s[j] x, and y += s[j] x; each with rows of its own stride
  void (*columns_scaled_copy)(int64_t n, int64_t m, const T* s, const T* x, int64_t x_stride, T* y,
                              int64_t y_stride);
  void (*columns_scaled_add)(int64_t n, int64_t m, const T* s, const T* x, int64_t x_stride, T* y,
                             int64_t y_stride);
  // best[j], index[j] = s x[j], i where s x[j] > best[j]
  void (*keep_larger)(int64_t n, T s, const T* x, int32_t i, T* best, int32_t* index);
  // Σ (x - mu)² weight, in double
  double (*weighted_square)(int64_t n, const T* x, const T* mu, const double* weight);
};

PROTEA_DECLARE_FAMILY(Rows<float>, rows_f32)
PROTEA_DECLARE_FAMILY(Rows<double>, rows_f64)

template <class T>
const Rows<T>& rows();
template <>
inline const Rows<float>& rows<float>() {
  return PROTEA_CHOOSE(rows_f32);
}
template <>
inline const Rows<double>& rows<double>() {
  return PROTEA_CHOOSE(rows_f64);
}

}  // namespace protea
