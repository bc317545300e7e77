#pragma once
// Sixteen rows of a product by one warp on tensor cores, kept in registers: what flash attention is
// made of. Each lane holds columns 2 t + {0, 1} of every eight, t = lane % 4, of rows g and g + 8,
// g = lane / 4; the four lanes of a row are neighbours.
#include "block.cuh"

namespace protea::gpu {

// The same of four neighbouring lanes.
GPU_DEVICE float quad_max(float value) {
  for (int bits = 1; bits < 4; bits *= 2)
    value = fmaxf(value, __shfl_xor_sync(all_lanes, value, bits));
  return value;
}
GPU_DEVICE float quad_sum(float value) {
  for (int bits = 1; bits < 4; bits *= 2) value += __shfl_xor_sync(all_lanes, value, bits);
  return value;
}

// Numbers that belong to the columns of a WarpRows<N>, those that a lane holds. They are loaded
// together and without a branch: a guard around each use would make the lane wait for each.
template <int N>
struct Columns {
  float value[N / 4];

  // Of `count` > 0 numbers, or zeros where `from` is null; columns from `count` on have `beyond`.
  GPU_DEVICE Columns(const float* from, int64_t count, float beyond) {
#pragma unroll
    for (int n = 0; n < N / 4; n++) {
      int64_t j = n / 2 * 8 + lane_index() % 4 * 2 + n % 2;
      float found = from ? from[j < count ? j : count - 1] : 0;
      value[n] = j < count ? found : beyond;
    }
  }
  GPU_DEVICE float of(int column) const { return value[column / 8 * 2 + column % 2]; }
};

template <int N>
struct WarpRows {
  static_assert(N % 16 == 0);
  float value[N / 8][4];

  GPU_DEVICE void clear() {
    for (auto& piece : value)
      for (float& v : piece) v = 0;
  }

  // += a bᵀ: a (16, depth), b (N, depth), row by row, depth a multiple of 16. `Ahead` sixteenths of
  // the depth may be fetched at once: fewer want fewer registers.
  template <class T, int Ahead = 4>
  GPU_DEVICE void add_product(const T* a, int lda, const T* b, int ldb, int depth) {
    int lane = lane_index();
    a += (lane & 15) * lda + (lane >> 4) * 8;
    b += ((lane & 7) + (lane >> 4) * 8) * ldb + (lane >> 3 & 1) * 8;
#pragma unroll Ahead
    for (int k = 0; k < depth; k += 16) {
      uint32_t left[4];
      load_matrices(left, a + k);
#pragma unroll
      for (int j = 0; j < N / 16; j++) {
        uint32_t right[4];
        load_matrices(right, b + j * 16 * ldb + k);
        add_pair<T>(j, left, right);
      }
    }
  }

  // += a b: a (16, D) rounded to T, b (D, N) row by row. What a product leaves in registers is laid
  // out as the next one needs it.
  template <class T, int D>
  GPU_DEVICE void add_product(const WarpRows<D>& a, const T* b, int ldb) {
    int lane = lane_index();
    b += ((lane & 7) + (lane >> 3 & 1) * 8) * ldb + (lane >> 4) * 8;
#pragma unroll
    for (int k = 0; k < D; k += 16) {
      const float(*of)[4] = a.value + k / 8;
      uint32_t left[4] = {packed<T>(of[0][0], of[0][1]), packed<T>(of[0][2], of[0][3]),
                          packed<T>(of[1][0], of[1][1]), packed<T>(of[1][2], of[1][3])};
#pragma unroll
      for (int j = 0; j < N / 16; j++) {
        uint32_t right[4];
        load_matrices_transposed(right, b + k * ldb + j * 16);
        add_pair<T>(j, left, right);
      }
    }
  }

  // Calls body(upper, column, value): `upper` 0 for row g, 1 for row g + 8.
  template <class Body>
  GPU_DEVICE void each(const Body& body) {
#pragma unroll
    for (int j = 0; j < N / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) body(e / 2, j * 8 + lane_index() % 4 * 2 + e % 2, value[j][e]);
  }

  // Calls body(upper, column, value, the value beside it), columns being even.
  template <class Body>
  GPU_DEVICE void each_pair(const Body& body) const {
#pragma unroll
    for (int j = 0; j < N / 8; j++)
#pragma unroll
      for (int upper = 0; upper < 2; upper++)
        body(upper, j * 8 + lane_index() % 4 * 2, value[j][2 * upper], value[j][2 * upper + 1]);
  }

  // Calls body(upper, column, value, value of the other).
  template <class Body>
  GPU_DEVICE void each_with(WarpRows& other, const Body& body) {
#pragma unroll
    for (int j = 0; j < N / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++)
        body(e / 2, j * 8 + lane_index() % 4 * 2 + e % 2, value[j][e], other.value[j][e]);
  }

 private:
  template <class T>
  GPU_DEVICE void add_pair(int j, const uint32_t (&left)[4], const uint32_t (&right)[4]) {
    uint32_t first[2] = {right[0], right[1]}, second[2] = {right[2], right[3]};
    mma(value[2 * j], left, first, T{});
    mma(value[2 * j + 1], left, second, T{});
  }
};

}  // namespace protea::gpu
