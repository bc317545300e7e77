#pragma once
// A tile of a matrix product, by a block of 256 threads: what GEMM, attention and the ops over
// prototypes are made of. Operands lie in shared memory row by row, products run along the rows:
//   value(row, column) += Σ_k a[row, k] b[column, k]
// T = float: fused multiply-adds. T = bf16 or f16: tensor cores, sums in float.
#include "block.cuh"
#include "device.h"

namespace protea::gpu {

constexpr int tile_threads = 256;

// The distance of two rows in shared memory, chosen so that threads meet different banks (and, for
// matrix loads, rows begin at multiples of 16 bytes).
template <class T>
constexpr int tile_stride(int depth) {
  return sizeof(T) == 4 ? depth + 1 : depth + 8;
}

// Tile<T, TM, TN>: (16 TM) x (16 TN) values. depth is a multiple of 16.
template <class T, int TM, int TN>
class Tile {
 public:
  static constexpr int rows = 16 * TM, columns = 16 * TN;
  static_assert(TM % 2 == 0 && TN % 4 == 0, "eight warps share the tile as 2 x 4");

  GPU_DEVICE void clear() {
    for (auto& row : value_)
      for (auto& column : row)
        for (float& v : column) v = 0;
  }

  GPU_DEVICE void multiply(const T* a, int lda, const T* b, int ldb, int depth) {
    int lane = lane_index();
    a += (warp_row() + (lane & 15)) * lda + (lane >> 4) * 8;
    b += (warp_column() + (lane & 7) + (lane >> 4) * 8) * ldb + (lane >> 3 & 1) * 8;
    for (int k = 0; k < depth; k += 16) {
      uint32_t left[FM][4], right[FN / 2][4];
#pragma unroll
      for (int i = 0; i < FM; i++) load_matrices(left[i], a + i * 16 * lda + k);
#pragma unroll
      for (int j = 0; j < FN / 2; j++) load_matrices(right[j], b + j * 16 * ldb + k);
#pragma unroll
      for (int i = 0; i < FM; i++)
#pragma unroll
        for (int j = 0; j < FN; j++) {
          uint32_t pair[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
          mma(value_[i][j], left[i], pair, T{});
        }
    }
  }

  // Calls body(row, column, value) for each value this thread holds.
  template <class Body>
  GPU_DEVICE void each(const Body& body) {
    visit(*this, body);
  }
  template <class Body>
  GPU_DEVICE void each(const Body& body) const {
    visit(*this, body);
  }

  // Where the n-th value of this thread lies, in the order of each().
  struct Place {
    int i, j;
  };
  static constexpr int values = TM * TN;
  GPU_DEVICE static Place place(int n) {
    int lane = lane_index(), i = n / 4 / FN, j = n / 4 % FN;
    return {warp_row() + i * 16 + n % 4 / 2 * 8 + lane / 4,
            warp_column() + j * 8 + lane % 4 * 2 + n % 2};
  }

  // Calls body(row, most) for each row of this thread's warp, by one lane; NaN is left out.
  template <class Body>
  GPU_DEVICE void row_maxima(const Body& body) const {
#pragma unroll
    for (int i = 0; i < FM; i++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float most = -INFINITY;
#pragma unroll
        for (int j = 0; j < FN; j++)
          most = fmaxf(most, fmaxf(value_[i][j][2 * half], value_[i][j][2 * half + 1]));
        for (int lanes = 1; lanes < 4; lanes *= 2)
          most = fmaxf(most, __shfl_xor_sync(all_lanes, most, lanes));
        if (lane_index() % 4 == 0) body(warp_row() + i * 16 + half * 8 + lane_index() / 4, most);
      }
  }
  template <class Body>
  GPU_DEVICE void column_maxima(const Body& body) const {
#pragma unroll
    for (int j = 0; j < FN; j++)
#pragma unroll
      for (int odd = 0; odd < 2; odd++) {
        float most = -INFINITY;
#pragma unroll
        for (int i = 0; i < FM; i++)
          most = fmaxf(most, fmaxf(value_[i][j][odd], value_[i][j][2 + odd]));
        for (int lanes = 4; lanes < 32; lanes *= 2)
          most = fmaxf(most, __shfl_xor_sync(all_lanes, most, lanes));
        if (lane_index() < 4) body(warp_column() + j * 8 + lane_index() * 2 + odd, most);
      }
  }

 private:
  static constexpr int FM = TM / 2, FN = TN / 2;  // 16 x 8 pieces of a warp
  GPU_DEVICE static int warp_row() { return warp_index() / 4 * FM * 16; }
  GPU_DEVICE static int warp_column() { return warp_index() % 4 * FN * 8; }

  template <class Self, class Body>
  GPU_DEVICE static void visit(Self& self, const Body& body) {
#pragma unroll
    for (int n = 0; n < values; n++) {
      Place at = place(n);
      body(at.i, at.j, self.value_[n / 4 / FN][n / 4 % FN][n % 4]);
    }
  }

  float value_[FM][FN][4];
};

template <int TM, int TN>
class Tile<float, TM, TN> {
 public:
  static constexpr int rows = 16 * TM, columns = 16 * TN;

  GPU_DEVICE void clear() {
    for (auto& row : value_)
      for (float& v : row) v = 0;
  }

  GPU_DEVICE void multiply(const float* a, int lda, const float* b, int ldb, int depth) {
    a += threadIdx.x / 16 * lda;
    b += threadIdx.x % 16 * ldb;
#pragma unroll 4
    for (int k = 0; k < depth; k++) {
      float left[TM], right[TN];
#pragma unroll
      for (int i = 0; i < TM; i++) left[i] = a[i * 16 * lda + k];
#pragma unroll
      for (int j = 0; j < TN; j++) right[j] = b[j * 16 * ldb + k];
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) value_[i][j] = multiply_add(left[i], right[j], value_[i][j]);
    }
  }

  template <class Body>
  GPU_DEVICE void each(const Body& body) {
    int row = static_cast<int>(threadIdx.x / 16), column = static_cast<int>(threadIdx.x % 16);
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
      for (int j = 0; j < TN; j++) body(row + 16 * i, column + 16 * j, value_[i][j]);
  }

 private:
  float value_[TM][TN];
};

// A stored matrix seen as (rows, depth): element (i, k) at data[i row + k depth]. Outside it is 0.
template <class T>
struct ViewOf {
  const T* data;
  int64_t rows, depth;  // how far it goes
  int64_t row, along;   // strides
  GPU_DEVICE float at(int64_t i, int64_t k) const {
    return i < rows && k < depth ? to_float(data[i * row + k * along]) : 0;
  }
  // Of f32: do four neighbours from a multiple of four on lie at a multiple of 16 bytes, all of
  // them inside or none?
  bool in_fours() const {
    return along == 1 && row % 4 == 0 && depth % 4 == 0 &&
           reinterpret_cast<uintptr_t>(data) % sizeof(float4) == 0;
  }
  GPU_DEVICE float4 four(int64_t i, int64_t k) const {
    if (i >= rows || k >= depth) return make_float4(0, 0, 0, 0);
    return *reinterpret_cast<const float4*>(data + i * row + k);
  }
};
using View = ViewOf<float>;

// Rows of a view in the order of a list.
template <class V>
struct Listed {
  V of;
  const int32_t* list;
  int64_t rows, depth;
  static constexpr int64_t row = 0, along = 1;
  GPU_DEVICE float at(int64_t i, int64_t k) const { return i < rows ? of.at(list[i], k) : 0; }
};

// Copies the part (R, D) of `view` that begins at (i, k) to shared memory, rounded to T. Threads
// that follow each other read what lies together; each has eight loads on their way before it uses
// the first.
template <int R, int D, class T, class V>
GPU_DEVICE void load_tile(T* to, int stride, const V& view, int64_t i, int64_t k) {
  constexpr int count = R * D / tile_threads, batch = count < 8 ? count : 8;
  static_assert(count * tile_threads == R * D && count % batch == 0);
  bool along_rows = view.row == 1 && view.along != 1;
  auto row = [&](int n) { return along_rows ? n % R : n / D; };
  auto column = [&](int n) { return along_rows ? n / R : n % D; };
#pragma unroll 1
  for (int n = static_cast<int>(threadIdx.x); n < R * D; n += batch * tile_threads) {
    float value[batch];
#pragma unroll
    for (int e = 0; e < batch; e++) {
      int at = n + e * tile_threads;
      value[e] = view.at(i + row(at), k + column(at));
    }
#pragma unroll
    for (int e = 0; e < batch; e++) {
      int at = n + e * tile_threads;
      to[row(at) * stride + column(at)] = rounded<T>(value[e]);
    }
  }
}

}  // namespace protea::gpu
