#pragma once
#include <cstdint>

#include "isa.h"

namespace protea {

// Vectorised maps over contiguous spans. y may be x.
template <class T>
struct Elementwise {
  void (*gelu)(int64_t n, const T* x, T* y);
  // dx = or += dy gelu'(x)
  void (*gelu_back)(int64_t n, const T* x, const T* dy, T* dx, bool accumulate);
  // y = silu(a) b
  void (*swiglu)(int64_t n, const T* a, const T* b, T* y);
  void (*swiglu_back)(int64_t n, const T* a, const T* b, const T* dy, T* da, T* db,
                      bool accumulate);
  // c += bias for every row, and y = gelu(c) unless y is null.
  void (*bias_gelu)(int64_t rows, int64_t columns, const T* bias, T* c, int64_t c_stride, T* y,
                    int64_t y_stride);
  // sum[j] = or += sum over rows of x[i, j]
  void (*add_rows)(int64_t rows, int64_t columns, const T* x, int64_t stride, T* sum,
                   bool accumulate);
};

PROTEA_DECLARE_FAMILY(Elementwise<float>, elementwise_f32)
PROTEA_DECLARE_FAMILY(Elementwise<double>, elementwise_f64)

template <class T>
const Elementwise<T>& elementwise();
template <>
inline const Elementwise<float>& elementwise<float>() {
  return PROTEA_CHOOSE(elementwise_f32);
}
template <>
inline const Elementwise<double>& elementwise<double>() {
  return PROTEA_CHOOSE(elementwise_f64);
}

}  // namespace protea
