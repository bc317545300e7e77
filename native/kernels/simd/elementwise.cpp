#include "../elementwise.h"

#include "math.h"

namespace protea::PROTEA_ISA {
namespace {

template <class T>
void exp_span(int64_t n, const T* x, T* y) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) y[i] = exp_of(x[i]);
}

}  // namespace

extern const Elementwise<float> elementwise_f32 = {exp_span<float>};
extern const Elementwise<double> elementwise_f64 = {exp_span<double>};

}  // namespace protea::PROTEA_ISA
