#pragma once
#include "gpu.h"

namespace protea::gpu {

// x Φ(x), with the exact Φ
GPU_DEVICE float gelu(float x) { return 0.5f * x * (1 + erff(x * 0.70710678118654752f)); }

// Φ(x) + x φ(x)
GPU_DEVICE float gelu_slope(float x) {
  float density = 0.3989422804014327f * expf(-0.5f * x * x);
  return 0.5f * (1 + erff(x * 0.70710678118654752f)) + x * density;
}

struct Gelu {
  GPU_DEVICE float operator()(float x) const { return gelu(x); }
};

// dx of y = GELU(x)
struct GeluSlope {
  GPU_DEVICE float operator()(float x, float dy) const { return dy * gelu_slope(x); }
};

GPU_DEVICE float sigmoid(float x) { return 1 / (1 + expf(-x)); }

}  // namespace protea::gpu
