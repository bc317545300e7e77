#pragma once
// to[k * to_stride + i] = from[i * from_stride + k], i < rows <= lanes, k < depth.
#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "vec.h"

namespace protea::PROTEA_ISA {

template <class T>
static inline void transpose_plain(int64_t rows, int64_t from_depth, int64_t depth, const T* from,
                                   int64_t from_stride, T* to, int64_t to_stride) {
  for (int64_t k = from_depth; k < depth; k++)
    for (int64_t i = 0; i < rows; i++) to[k * to_stride + i] = from[i * from_stride + k];
}

#if defined(__AVX512F__)

// 16 x 16 floats in registers: pairs, quadruples, then the four 128-bit lanes.
inline __attribute__((always_inline)) void transpose_16(__m512 r[16]) {
  __m512 t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

template <bool exact>
static inline void transpose_floats(int64_t rows, int64_t depth, const float* from,
                                    int64_t from_stride, float* to, int64_t to_stride) {
  auto mask = static_cast<__mmask16>((1u << rows) - 1);
  int64_t k = 0;
  for (; k + 16 <= depth; k += 16) {
    __m512 r[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
      r[i] = i < rows ? _mm512_loadu_ps(from + i * from_stride + k) : _mm512_setzero_ps();
      // The rows that come next mostly lie below these: fetching them now hides the way to memory.
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
      _mm_prefetch(reinterpret_cast<const char*>(from + (i + 64) * from_stride + k), _MM_HINT_T1);
    transpose_16(r);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
      float* row = to + (k + i) * to_stride;
      if (exact && rows < 16)
        _mm512_mask_storeu_ps(row, mask, r[i]);
      else
        _mm512_storeu_ps(row, r[i]);
    }
  }
  transpose_plain(rows, k, depth, from, from_stride, to, to_stride);
}

#elif defined(__AVX2__)

// 8 x 8 floats in registers: pairs, quadruples, then the two 128-bit halves.
inline __attribute__((always_inline)) void transpose_8(__m256 r[8]) {
  __m256 t[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
    t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) r[i] = t[i];
}

template <bool exact>
static inline void transpose_floats(int64_t rows, int64_t depth, const float* from,
                                    int64_t from_stride, float* to, int64_t to_stride) {
  __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(rows)), lane);
  int64_t k = 0;
  for (; k + 8 <= depth; k += 8) {
    __m256 r[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
      r[i] = i < rows ? _mm256_loadu_ps(from + i * from_stride + k) : _mm256_setzero_ps();
      // The rows that come next mostly lie below these: fetching them now hides the way to memory.
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
      _mm_prefetch(reinterpret_cast<const char*>(from + (i + 32) * from_stride + k), _MM_HINT_T1);
    transpose_8(r);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
      float* row = to + (k + i) * to_stride;
      if (exact && rows < 8)
        _mm256_maskstore_ps(row, mask, r[i]);
      else
        _mm256_storeu_ps(row, r[i]);
    }
  }
  transpose_plain(rows, k, depth, from, from_stride, to, to_stride);
}

#endif

#if defined(__AVX2__)

// May write a whole vector from the start of each row of `to`; rows are written in order, so with
// to_stride up to a vector what spills into the next row is overwritten by it.
static inline void transpose(int64_t rows, int64_t depth, const float* from, int64_t from_stride,
                             float* to, int64_t to_stride) {
  transpose_floats<false>(rows, depth, from, from_stride, to, to_stride);
}

// Writes nothing beyond `rows` elements of a row.
static inline void transpose_exact(int64_t rows, int64_t depth, const float* from,
                                   int64_t from_stride, float* to, int64_t to_stride) {
  transpose_floats<true>(rows, depth, from, from_stride, to, to_stride);
}

#endif

template <class T>
static inline void transpose(int64_t rows, int64_t depth, const T* from, int64_t from_stride, T* to,
                             int64_t to_stride) {
  transpose_plain(rows, 0, depth, from, from_stride, to, to_stride);
}

template <class T>
static inline void transpose_exact(int64_t rows, int64_t depth, const T* from, int64_t from_stride,
                                   T* to, int64_t to_stride) {
  transpose_plain(rows, 0, depth, from, from_stride, to, to_stride);
}

}  // namespace protea::PROTEA_ISA
