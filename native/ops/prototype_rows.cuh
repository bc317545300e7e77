#pragma once
// What the CUDA ops over prototypes share: logits of rows, and how prototypes are cut into parts.
#include "../cuda/products.cuh"

namespace protea::gpu {

// Rows z (R, P) against prototypes w (K, P): logits scale z wᵀ + bias.
struct Logits {
  View z, w;
  const float* bias;  // (K) or null
  float scale;
  const bf16* rounded;  // w, without gaps, where the runtime has rounded it; else null

  Logits(const Array& z, const Array& w, const Array& bias, double temperature)
      : z{z.as<float>(), z.dim(0), z.dim(1), z.dim(1), 1},
        w{w.as<float>(), w.dim(0), w.dim(1), w.dim(1), 1},
        bias(bias.as<float>()),
        scale(static_cast<float>(1 / temperature)),
        rounded(w.dim(1) % 8 ? nullptr : static_cast<const bf16*>(w.rounded)) {}

  GPU_DEVICE float at(float product, int64_t k) const {
    return scale * product + (bias ? bias[k] : 0);
  }
};

// Prototypes per part, a multiple of 64, so that all processors have work.
inline int64_t part_size(const Gpu& gpu, int64_t rows, int64_t K) {
  int64_t tiles = ceil_div(rows, tile_rows), blocks = ceil_div(K, tile_rows);
  int64_t wanted = ceil_div(2 * gpu.processors(), tiles);
  int64_t parts = wanted < blocks ? wanted : blocks;
  return ceil_div(blocks, parts) * tile_rows;
}

}  // namespace protea::gpu
