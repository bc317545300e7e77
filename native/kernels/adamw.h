#pragma once
#include <cstdint>

#include "isa.h"

namespace protea {

// The constants of one parameter's step; see ops/adamw.cpp for the equations.
struct AdamWStep {
  float decay, new1, beta2, new2, rate, root, eps, clip;
};

struct AdamWKernels {
  void (*update)(const AdamWStep& step, int64_t n, float* p, const float* g, float* m, float* v);
  // teacher = momentum teacher + (1 - momentum) p
  void (*follow)(float momentum, int64_t n, float* teacher, const float* p);
  // Sum of squares in double.
  double (*square)(int64_t n, const float* x);
};

PROTEA_DECLARE_FAMILY(AdamWKernels, adamw_kernels)

inline const AdamWKernels& adamw() { return PROTEA_CHOOSE(adamw_kernels); }

}  // namespace protea
