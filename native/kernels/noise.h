#pragma once
#include <cstdint>

#include "isa.h"

namespace protea {

// Philox 4x32-10 and Box-Muller in vectors; the scalar generator is core/random.h.
struct NoiseKernels {
  // out[4 b + j], b < blocks: number j of block first + b of the stream with these key and counter
  // words. Single precision: 23 bits of each word.
  void (*normals)(const uint32_t key[2], const uint32_t counter[3], uint32_t first, int64_t blocks,
                  float* out);
};

PROTEA_DECLARE_FAMILY(NoiseKernels, noise_kernels)

inline const NoiseKernels& noise() { return PROTEA_CHOOSE(noise_kernels); }

}  // namespace protea
