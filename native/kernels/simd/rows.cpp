#include "../rows.h"

#include "math.h"

namespace protea::PROTEA_ISA {
namespace {

template <class T>
T sum_of(int64_t n, const T* x) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += x[i];
  return sum;
}

template <class T>
T dot(int64_t n, const T* a, const T* b) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

template <class T>
void axpy(int64_t n, T s, const T* x, T* y) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) y[i] += s * x[i];
}

template <class T>
T largest(int64_t n, const T* x) {
  T most = x[0];
#pragma omp simd reduction(max : most)
  for (int64_t i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
  return most;
}

template <class T>
void scale(int64_t n, T s, T* x) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) x[i] *= s;
}

template <class T>
void scaled_copy(int64_t n, T s, const T* x, T* y) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) y[i] = s * x[i];
}

template <class T>
T affine_largest(int64_t n, T s, const T* bias, T* x) {
  if (bias) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) x[i] = s * x[i] + bias[i];
  } else {
    scale(n, s, x);
  }
  return largest(n, x);
}

template <class T>
T exp_sum(int64_t n, T shift, T* x) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) {
    x[i] = exp_of_negative(x[i] - shift);
    sum += x[i];
  }
  return sum;
}

template <class T>
void columns_affine_largest(int64_t n, int64_t m, int64_t stride, T s, const T* bias, T* x,
                            T* top) {
  for (int64_t i = 0; i < n; i++, x += stride) {
    T shift = bias ? bias[i] : T(0);
#pragma omp simd
    for (int64_t j = 0; j < m; j++) {
      T value = s * x[j] + shift;
      x[j] = value;
      top[j] = value > top[j] ? value : top[j];
    }
  }
}

template <class T>
void columns_exp_sum(int64_t n, int64_t m, int64_t stride, const T* shift, T* x, T* sum) {
  for (int64_t i = 0; i < n; i++, x += stride) {
#pragma omp simd
    for (int64_t j = 0; j < m; j++) {
      T value = exp_of_negative(x[j] - shift[j]);
      x[j] = value;
      sum[j] += value;
    }
  }
}

template <class T>
void columns_product_sum(int64_t n, int64_t m, int64_t stride, const T* x, const T* y, T* sum) {
  for (int64_t i = 0; i < n; i++, x += stride, y += stride) {
#pragma omp simd
    for (int64_t j = 0; j < m; j++) sum[j] += x[j] * y[j];
  }
}

template <class T>
void columns_scaled_copy(int64_t n, int64_t m, const T* s, const T* x, int64_t x_stride, T* y,
                         int64_t y_stride) {
  for (int64_t i = 0; i < n; i++, x += x_stride, y += y_stride) {
#pragma omp simd
    for (int64_t j = 0; j < m; j++) y[j] = s[j] * x[j];
  }
}

template <class T>
void columns_scaled_add(int64_t n, int64_t m, const T* s, const T* x, int64_t x_stride, T* y,
                        int64_t y_stride) {
  for (int64_t i = 0; i < n; i++, x += x_stride, y += y_stride) {
#pragma omp simd
    for (int64_t j = 0; j < m; j++) y[j] += s[j] * x[j];
  }
}

template <class T>
void keep_larger(int64_t n, T s, const T* x, int32_t i, T* best, int32_t* index) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) {
    T value = s * x[j];
    bool larger = value > best[j];
    best[j] = larger ? value : best[j];
    index[j] = larger ? i : index[j];
  }
}

// Two passes: the variance of values far from zero keeps its digits.
template <class T>
void layer_norm(int64_t rows, int64_t D, const T* x, const T* weight, const T* bias, T eps, T* y,
                T* mean, T* rstd) {
  for (int64_t i = 0; i < rows; i++, x += D, y += D) {
    T m = sum_of(D, x) / static_cast<T>(D);
    T square = 0;
#pragma omp simd reduction(+ : square)
    for (int64_t j = 0; j < D; j++) square += (x[j] - m) * (x[j] - m);
    T r = T(1) / static_cast<T>(::sqrt(square / static_cast<T>(D) + eps));
#pragma omp simd
    for (int64_t j = 0; j < D; j++) y[j] = (x[j] - m) * r * weight[j] + bias[j];
    mean[i] = m;
    rstd[i] = r;
  }
}

// With n = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - n mean(g n)).
template <class T>
void layer_norm_dx(int64_t rows, int64_t D, const T* x, const T* weight, const T* mean,
                   const T* rstd, const T* dy, T* dx, bool accumulate) {
  for (int64_t i = 0; i < rows; i++, x += D, dy += D, dx += D) {
    T m = mean[i], r = rstd[i], g = 0, gn = 0;
#pragma omp simd reduction(+ : g, gn)
    for (int64_t j = 0; j < D; j++) {
      T d = dy[j] * weight[j];
      g += d;
      gn += d * (x[j] - m);
    }
    g /= static_cast<T>(D);
    gn *= r * r / static_cast<T>(D);
    if (accumulate) {
#pragma omp simd
      for (int64_t j = 0; j < D; j++) dx[j] += r * (dy[j] * weight[j] - g - (x[j] - m) * gn);
    } else {
#pragma omp simd
      for (int64_t j = 0; j < D; j++) dx[j] = r * (dy[j] * weight[j] - g - (x[j] - m) * gn);
    }
  }
}

template <class T>
void layer_norm_dparameters(int64_t rows, int64_t D, const T* x, const T* mean, const T* rstd,
                            const T* dy, T* dweight, T* dbias) {
  for (int64_t j = 0; j < D; j++) dweight[j] = dbias[j] = 0;
  for (int64_t i = 0; i < rows; i++, x += D, dy += D) {
    T m = mean[i], r = rstd[i];
#pragma omp simd
    for (int64_t j = 0; j < D; j++) {
      dweight[j] += dy[j] * (x[j] - m) * r;
      dbias[j] += dy[j];
    }
  }
}

// y = e^(scale x - shift) of a row, divided by its sum, which is returned.
template <class T>
PROTEA_INLINE T softmax_row(int64_t D, const T* x, T scale, T shift, T* y) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < D; j++) {
    T e = exp_of_negative(x[j] * scale - shift);
    y[j] = e;
    sum += e;
  }
  T inverse = T(1) / sum;
#pragma omp simd
  for (int64_t j = 0; j < D; j++) y[j] *= inverse;
  return sum;
}

template <class T>
void softmax(int64_t rows, int64_t D, const T* x, T scale, T* y, T* lse) {
  for (int64_t i = 0; i < rows; i++, x += D, y += D) {
    T most = largest(D, x) * scale;
    T sum = softmax_row(D, x, scale, most, y);
    if (lse) lse[i] = most + static_cast<T>(::log(sum));
  }
}

template <class T>
void softmax_again(int64_t rows, int64_t D, const T* x, T scale, const T* lse, T* y) {
  for (int64_t i = 0; i < rows; i++, x += D, y += D) softmax_row(D, x, scale, lse[i], y);
}

template <class T>
void softmax_back(int64_t rows, int64_t D, const T* p, const T* dp, T scale, T* dx,
                  bool accumulate) {
  for (int64_t i = 0; i < rows; i++, p += D, dp += D, dx += D) {
    T along = dot(D, p, dp);
    if (accumulate) {
#pragma omp simd
      for (int64_t j = 0; j < D; j++) dx[j] += scale * p[j] * (dp[j] - along);
    } else {
#pragma omp simd
      for (int64_t j = 0; j < D; j++) dx[j] = scale * p[j] * (dp[j] - along);
    }
  }
}

template <class T>
double weighted_square(int64_t n, const T* x, const T* mu, const double* weight) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) {
    double apart = static_cast<double>(x[i]) - static_cast<double>(mu[i]);
    sum += apart * apart * weight[i];
  }
  return sum;
}

template <class T>
constexpr Rows<T> family = {layer_norm<T>,
                            layer_norm_dx<T>,
                            layer_norm_dparameters<T>,
                            softmax<T>,
                            softmax_again<T>,
                            softmax_back<T>,
                            dot<T>,
                            axpy<T>,
                            largest<T>,
                            sum_of<T>,
                            scale<T>,
                            scaled_copy<T>,
                            affine_largest<T>,
                            exp_sum<T>,
                            columns_affine_largest<T>,
                            columns_exp_sum<T>,
                            columns_product_sum<T>,
                            columns_scaled_copy<T>,
                            columns_scaled_add<T>,
                            keep_larger<T>,
                            weighted_square<T>};

}  // namespace

extern const Rows<float> rows_f32 = family<float>;
extern const Rows<double> rows_f64 = family<double>;

}  // namespace protea::PROTEA_ISA
