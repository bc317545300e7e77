#pragma once
// 16-bit numbers and the warp's matrix instructions, with the register layouts of PTX.
#include "simt.h"

namespace simt {

struct bf16 {
  uint16_t bits;
};
struct f16 {
  uint16_t bits;
};

inline float to_float(bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }
inline float to_float(f16 x) {
  _Float16 value;
  std::memcpy(&value, &x, sizeof value);
  return static_cast<float>(value);
}

// Inlined always: an instrumented file does not tell of a store of what a call returns.
#define SIMT_INLINE __attribute__((always_inline)) inline

template <class T>
T rounded(float x);
// To nearest, ties to even; a NaN stays one.
template <>
SIMT_INLINE bf16 rounded<bf16>(float x) {
  unsigned bits = __float_as_uint(x);
  if (x != x) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
template <>
SIMT_INLINE f16 rounded<f16>(float x) {
  auto value = static_cast<_Float16>(x);
  f16 result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

// PTX mma.m16n8k16: with g = lane / 4 and t = lane % 4, register r of a holds rows g + 8 (r % 2)
// and columns 2 t + {0, 1} + 8 (r / 2); register r of b rows 2 t + {0, 1} + 8 r of column g; d rows
// g + 8 (i / 2) and columns 2 t + i % 2.
template <class T>
void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site) {
  uint32_t mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  Slots slots = exchange(Collective::Multiply, mine, sizeof mine, site);
  auto element = [&](int from, int reg, int half) {
    T value;
    copy_raw(&value, slots[from] + reg * 4 + half * 2, sizeof value);
    return static_cast<double>(to_float(value));
  };
  int g = lane() >> 2, t = lane() & 3;
  for (int i = 0; i < 4; i++) {
    int row = g + (i >> 1) * 8, column = t * 2 + (i & 1);
    double sum = d[i];  // exact products, rounded once
    for (int k = 0; k < 16; k++) {
      int pair = (k & 7) >> 1, upper = k >> 3, half = k & 1;
      sum += element((row & 7) * 4 + pair, (row >> 3) + upper * 2, half) *
             element(column * 4 + pair, 4 + upper, half);
    }
    d[i] = static_cast<float>(sum);
  }
}

// PTX ldmatrix.x4: register i of lane l gets columns 2 (l % 4) + {0, 1} of row l / 4 of tile i, or
// with `transposed` rows 2 (l % 4) + {0, 1} of column l / 4.
inline void load_matrices(uint32_t (&r)[4], const void* row, bool transposed, Site site) {
  if (reinterpret_cast<uintptr_t>(row) & 15)
    fail(Fault::Misaligned, "a matrix row must begin at a multiple of 16 bytes");
  Slots slots = exchange(Collective::Matrix, &row, sizeof row, site);
  int major = lane() / 4, minor = lane() % 4 * 2;
  for (int i = 0; i < 4; i++)
    for (int half = 0; half < 2; half++) {
      const char* from;
      int of = transposed ? minor + half : major, at = transposed ? major : minor + half;
      copy_raw(&from, slots[i * 8 + of], sizeof from);
      touch(from + at * 2, 2, false);
      copy_raw(reinterpret_cast<char*>(&r[i]) + half * 2, from + at * 2, 2);
    }
}

}  // namespace simt
