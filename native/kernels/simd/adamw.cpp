#include "../adamw.h"

#include <math.h>

namespace protea::PROTEA_ISA {
namespace {

void update(const AdamWStep& s, int64_t n, float* __restrict p, const float* __restrict g,
            float* __restrict m, float* __restrict v) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float gradient = g[i] * s.clip;
    m[i] += s.new1 * (gradient - m[i]);
    v[i] = s.beta2 * v[i] + s.new2 * gradient * gradient;
    p[i] = p[i] * s.decay - s.rate * m[i] / (__builtin_sqrtf(v[i]) * s.root + s.eps);
  }
}

void follow(float momentum, int64_t n, float* __restrict teacher, const float* __restrict p) {
  float rest = 1 - momentum;
#pragma omp simd
  for (int64_t i = 0; i < n; i++) teacher[i] = momentum * teacher[i] + rest * p[i];
}

double square(int64_t n, const float* x) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace

extern const AdamWKernels adamw_kernels = {update, follow, square};

}  // namespace protea::PROTEA_ISA
