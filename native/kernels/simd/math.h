#pragma once
// Functions that the compiler can vectorise, for use inside kernels/simd/ only. This folder is
// compiled once per instruction set, into the namespace PROTEA_ISA. It must not use templates or
// inline functions of the standard library: the linker would keep one copy of such a function for
// all, and that copy might need instructions the machine lacks.
#include <math.h>
#include <stdint.h>

#define PROTEA_INLINE inline __attribute__((always_inline))

namespace protea::PROTEA_ISA {

// e^(x - n ln2) for the whole number n nearest to x / ln2: ln2 in two parts, degree 6.
PROTEA_INLINE float exp_of_rest(float x, float n) {
  float r = __builtin_fmaf(n, -0.693359375f, x);
  r = __builtin_fmaf(n, 2.12194440e-4f, r);
  float p = 1.3981999e-3f;
  p = __builtin_fmaf(p, r, 8.3334519e-3f);
  p = __builtin_fmaf(p, r, 4.1665793e-2f);
  p = __builtin_fmaf(p, r, 0.16666667f);
  p = __builtin_fmaf(p, r, 0.5f);
  p = __builtin_fmaf(p, r, 1.0f);
  return __builtin_fmaf(p, r, 1.0f);
}

// e^x = 2^n e^r. Clamped to the range of f32.
PROTEA_INLINE float exp_of(float x) {
  x = x < -87.33654f ? -87.33654f : x;
  x = x > 88.72283f ? 88.72283f : x;
  float n = __builtin_rintf(x * 1.44269504f);
  // 2^n in two steps, so that n = 128 and subnormals' neighbourhood stay in range.
  int32_t half = static_cast<int32_t>(n) / 2, rest = static_cast<int32_t>(n) - half;
  union {
    int32_t i;
    float f;
  } a{(half + 127) << 23}, b{(rest + 127) << 23};
  return exp_of_rest(x, n) * a.f * b.f;
}

PROTEA_INLINE double exp_of(double x) { return ::exp(x); }

// e^x for x <= 0 and a little above, where 2^n needs one step: the same bits as exp_of.
PROTEA_INLINE float exp_of_negative(float x) {
  x = x < -87.33654f ? -87.33654f : x;
  float n = __builtin_rintf(x * 1.44269504f);
  union {
    int32_t i;
    float f;
  } power{(static_cast<int32_t>(n) + 127) << 23};
  return exp_of_rest(x, n) * power.f;
}

PROTEA_INLINE double exp_of_negative(double x) { return ::exp(x); }

// 1 - erf(|x|) = poly(t) e^(-x^2), t = 1 / (1 + 0.3275911 |x|), to 1.5e-7 (Abramowitz and Stegun,
// 7.1.26); `decay` is e^(-x^2), which the density needs too.
PROTEA_INLINE float erfc_of(float x, float decay) {
  float t = 1.0f / (1.0f + 0.3275911f * __builtin_fabsf(x));
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  return p * t * decay;
}

// The standard normal distribution function, 0.5 erfc(-x / sqrt 2), given e^(-x^2 / 2).
PROTEA_INLINE float normal_cdf(float x, float decay) {
  float tail = 0.5f * erfc_of(x * 0.70710678f, decay);
  return x < 0 ? tail : 1.0f - tail;
}

PROTEA_INLINE double normal_cdf(double x, double) { return 0.5 * ::erfc(-x * 0.70710678118654752); }

template <class T>
PROTEA_INLINE T normal_decay(T x) {
  return exp_of_negative(T(-0.5) * x * x);
}

// ln x for normal x > 0: x = 2^n m, m in [sqrt 1/2, sqrt 2); degree 9 in m - 1 (Cephes logf).
PROTEA_INLINE float log_of(float x) {
  union {
    float f;
    int32_t i;
  } bits{x};
  int32_t n = ((bits.i - 0x3f3504f3) >> 23);
  bits.i -= n * (1 << 23);
  float m = bits.f - 1.0f, square = m * m;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  return static_cast<float>(n) * 0.693147181f + (m - 0.5f * square + m * square * p);
}

// Sine and cosine of 2 pi turn, turn in [0, 1]: quarter turns by swapping and signs.
PROTEA_INLINE void sin_cos_of_turn(float turn, float* sine, float* cosine) {
  float quarter = __builtin_rintf(turn * 4.0f);
  float r = (turn * 4.0f - quarter) * 1.57079633f, square = r * r;
  float s = r + r * square *
                    (-1.6666654611e-1f + square * (8.3321608736e-3f - 1.9515295891e-4f * square));
  float c =
      1.0f - 0.5f * square +
      square * square * (4.166664568e-2f + square * (-1.388731625e-3f + 2.443315711e-5f * square));
  int32_t q = static_cast<int32_t>(quarter) & 3;
  float first = q & 1 ? c : s, second = q & 1 ? s : c;
  *sine = q & 2 ? -first : first;
  *cosine = (q == 1 || q == 2) ? -second : second;
}

}  // namespace protea::PROTEA_ISA
