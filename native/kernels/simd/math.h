#pragma once
// Functions that the compiler can vectorise, for use inside kernels/simd/ only. This folder is
// compiled once per instruction set, into the namespace PROTEA_ISA. It must not use templates or
// inline functions of the standard library: the linker would keep one copy of such a function for
// all, and that copy might need instructions the machine lacks.
#include <math.h>
#include <stdint.h>

#define PROTEA_INLINE inline __attribute__((always_inline))

namespace protea::PROTEA_ISA {

PROTEA_INLINE float exp_of(float x) {
  // e^x = 2^n e^r, |r| <= ln2 / 2; ln2 in two parts; degree 6 for e^r. Clamped to the range of f32.
  x = x < -87.33654f ? -87.33654f : x;
  x = x > 88.72283f ? 88.72283f : x;
  float n = __builtin_rintf(x * 1.44269504f);
  float r = __builtin_fmaf(n, -0.693359375f, x);
  r = __builtin_fmaf(n, 2.12194440e-4f, r);
  float p = 1.3981999e-3f;
  p = __builtin_fmaf(p, r, 8.3334519e-3f);
  p = __builtin_fmaf(p, r, 4.1665793e-2f);
  p = __builtin_fmaf(p, r, 0.16666667f);
  p = __builtin_fmaf(p, r, 0.5f);
  p = __builtin_fmaf(p, r, 1.0f);
  p = __builtin_fmaf(p, r, 1.0f);
  // 2^n in two steps, so that n = 128 and subnormals' neighbourhood stay in range.
  int32_t half = static_cast<int32_t>(n) / 2, rest = static_cast<int32_t>(n) - half;
  union {
    int32_t i;
    float f;
  } a{(half + 127) << 23}, b{(rest + 127) << 23};
  return p * a.f * b.f;
}

PROTEA_INLINE double exp_of(double x) { return ::exp(x); }

// erfc(x) for x >= 0 by a Chebyshev fit, fractional error 1.2e-7 (Press et al., Numerical Recipes).
PROTEA_INLINE float erfc_of_positive(float x) {
  float t = 1.0f / (1.0f + 0.5f * x);
  float p = 0.17087277f;
  p = p * t - 0.82215223f;
  p = p * t + 1.48851587f;
  p = p * t - 1.13520398f;
  p = p * t + 0.27886807f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678418f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f;
  return t * exp_of(p - x * x);
}

// The standard normal distribution function, 0.5 erfc(-x / sqrt 2).
PROTEA_INLINE float normal_cdf(float x) {
  float tail = 0.5f * erfc_of_positive(__builtin_fabsf(x) * 0.70710678f);
  return x < 0 ? tail : 1.0f - tail;
}

PROTEA_INLINE double normal_cdf(double x) { return 0.5 * ::erfc(-x * 0.70710678118654752); }

template <class T>
PROTEA_INLINE T normal_pdf(T x) {
  return T(0.3989422804014327) * exp_of(T(-0.5) * x * x);
}

}  // namespace protea::PROTEA_ISA
