#include "../noise.h"

#include "math.h"

namespace protea::PROTEA_ISA {
namespace {

// Blocks that go through the rounds side by side.
constexpr int width = 16;

struct Words {
  uint32_t w[4][width];
};

// See core/random.h: the same rounds, on `width` counters at once.
void philox(const uint32_t key[2], const uint32_t counter[3], uint32_t first, Words& words) {
  uint32_t k0 = key[0], k1 = key[1];
  for (int i = 0; i < width; i++) {
    words.w[0][i] = first + static_cast<uint32_t>(i);
    for (int j = 1; j < 4; j++) words.w[j][i] = counter[j - 1];
  }
  for (int round = 0; round < 10; round++) {
#pragma omp simd
    for (int i = 0; i < width; i++) {
      uint64_t a = uint64_t{0xD2511F53} * words.w[0][i], b = uint64_t{0xCD9E8D57} * words.w[2][i];
      words.w[0][i] = static_cast<uint32_t>(b >> 32) ^ words.w[1][i] ^ k0;
      words.w[1][i] = static_cast<uint32_t>(b);
      words.w[2][i] = static_cast<uint32_t>(a >> 32) ^ words.w[3][i] ^ k1;
      words.w[3][i] = static_cast<uint32_t>(a);
    }
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
}

// A uniform number in (0, 1) from the upper bits of a word.
PROTEA_INLINE float uniform(uint32_t word) {
  return (static_cast<float>(static_cast<int32_t>(word >> 9)) + 0.5f) * 0x1.0p-23f;
}

void box_muller(const Words& words, float out[width * 4]) {
  for (int pair = 0; pair < 2; pair++) {
#pragma omp simd
    for (int i = 0; i < width; i++) {
      float radius = __builtin_sqrtf(-2.0f * log_of(uniform(words.w[2 * pair][i])));
      float sine, cosine;
      sin_cos_of_turn(uniform(words.w[2 * pair + 1][i]), &sine, &cosine);
      out[4 * i + 2 * pair] = radius * cosine;
      out[4 * i + 2 * pair + 1] = radius * sine;
    }
  }
}

void normals(const uint32_t key[2], const uint32_t counter[3], uint32_t first, int64_t blocks,
             float* out) {
  Words words;
  float n[width * 4];
  for (int64_t b = 0; b < blocks; b += width) {
    philox(key, counter, first + static_cast<uint32_t>(b), words);
    box_muller(words, n);
    int64_t count = 4 * (blocks - b < width ? blocks - b : width);
    for (int64_t i = 0; i < count; i++) out[4 * b + i] = n[i];
  }
}

}  // namespace

extern const NoiseKernels noise_kernels = {normals};

}  // namespace protea::PROTEA_ISA
