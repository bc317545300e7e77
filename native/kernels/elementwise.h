#pragma once
#include <cstdint>

#include "isa.h"

namespace protea {

// Vectorised maps over contiguous spans. y may be x.
template <class T>
struct Elementwise {
  void (*exp)(int64_t n, const T* x, T* y);  // relative error < 2 ulp in f32
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
