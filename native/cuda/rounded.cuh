#pragma once
// Operands of tensor cores: rows rounded once, padded so that tiles need no bounds.
#include "tile.cuh"

namespace protea::gpu {

// to (rows, columns), columns a multiple of 8; beyond `from` it is 0.
template <class T, class V>
__global__ void round_kernel(V from, T* to, int64_t rows, int64_t columns) {
  int64_t pieces = columns / 8;
  for (int64_t n = first_index(); n < rows * pieces; n += index_stride()) {
    int64_t i = n / pieces, k = n % pieces * 8;
    auto pair = [&](int e) { return packed<T>(from.at(i, k + e), from.at(i, k + e + 1)); };
    *reinterpret_cast<uint4*>(to + n * 8) = make_uint4(pair(0), pair(2), pair(4), pair(6));
  }
}

template <class T, class V>
void round_rows(Gpu& gpu, const V& from, T* to, int64_t rows, int64_t columns) {
  if (rows * columns == 0) return;
  GPU_LAUNCH(gpu, (round_kernel<T, V>), cover(rows * columns / 8), from, to, rows, columns);
}

inline int64_t whole(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

}  // namespace protea::gpu
