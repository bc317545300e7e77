#pragma once
// What the CUDA ops over prototypes share: logits of rows, and how prototypes are cut into parts.
#include "../cuda/products.cuh"

namespace protea::gpu {

// Rows z (R, P) against prototypes w (K, P): logits scale z wᵀ + bias.
struct Logits {
  View z, w;
  const float* bias;  // (K) or null
  float scale;

  Logits(const float* z, int64_t rows, const float* w, int64_t K, int64_t P, const float* bias,
         double temperature)
      : z{z, rows, P, P, 1},
        w{w, K, P, P, 1},
        bias(bias),
        scale(static_cast<float>(1 / temperature)) {}

  GPU_DEVICE float at(float product, int64_t k) const {
    return scale * product + (bias ? bias[k] : 0);
  }
};

// Prototypes per part, a multiple of 64, so that all processors have work.
inline int64_t part_size(const Gpu& gpu, int64_t rows, int64_t K) {
  int64_t tiles = (rows + tile_rows - 1) / tile_rows, blocks = (K + tile_rows - 1) / tile_rows;
  int64_t wanted = (2 * gpu.processors() + tiles - 1) / tiles;
  int64_t parts = wanted < blocks ? wanted : blocks;
  return (blocks + parts - 1) / parts * tile_rows;
}

}  // namespace protea::gpu
