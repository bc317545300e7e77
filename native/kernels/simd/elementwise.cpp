#include "../elementwise.h"

#include "math.h"

namespace protea::PROTEA_ISA {
namespace {

template <class T>
void gelu(int64_t n, const T* x, T* y) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) y[i] = x[i] * normal_cdf(x[i], normal_decay(x[i]));
}

// d/dx x Phi(x) = Phi(x) + x phi(x)
template <class T>
PROTEA_INLINE T gelu_slope(T x) {
  T decay = normal_decay(x);
  return normal_cdf(x, decay) + x * T(0.3989422804014327) * decay;
}

template <class T>
void gelu_back(int64_t n, const T* x, const T* dy, T* dx, bool accumulate) {
  if (accumulate) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] += dy[i] * gelu_slope(x[i]);
    return;
  }
#pragma omp simd
  for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * gelu_slope(x[i]);
}

template <class T>
void swiglu(int64_t n, const T* a, const T* b, T* y) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) y[i] = a[i] / (T(1) + exp_of(-a[i])) * b[i];
}

// silu'(a) = s (1 + a (1 - s)), s = sigmoid(a)
template <class T>
void swiglu_back(int64_t n, const T* a, const T* b, const T* dy, T* da, T* db, bool accumulate) {
  for (int64_t i = 0; i < n; i++) {
    T s = T(1) / (T(1) + exp_of(-a[i]));
    T left = dy[i] * b[i] * s * (T(1) + a[i] * (T(1) - s)), right = dy[i] * a[i] * s;
    da[i] = accumulate ? da[i] + left : left;
    db[i] = accumulate ? db[i] + right : right;
  }
}

template <class T>
void bias_gelu(int64_t rows, int64_t columns, const T* bias, T* c, int64_t c_stride, T* y,
               int64_t y_stride) {
  for (int64_t i = 0; i < rows; i++) {
    T* row = c + i * c_stride;
    if (bias)
      for (int64_t j = 0; j < columns; j++) row[j] += bias[j];
    if (y) gelu(columns, row, y + i * y_stride);
  }
}

template <class T>
void add_rows(int64_t rows, int64_t columns, const T* x, int64_t stride, T* sum, bool accumulate) {
  if (!accumulate)
    for (int64_t j = 0; j < columns; j++) sum[j] = 0;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) sum[j] += x[i * stride + j];
}

template <class T>
constexpr Elementwise<T> family = {gelu<T>,        gelu_back<T>, swiglu<T>,
                                   swiglu_back<T>, bias_gelu<T>, add_rows<T>};

}  // namespace

extern const Elementwise<float> elementwise_f32 = family<float>;
extern const Elementwise<double> elementwise_f64 = family<double>;

}  // namespace protea::PROTEA_ISA
