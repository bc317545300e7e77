#pragma once
// Operands of tensor cores: rows rounded once, padded so that tiles need no bounds.
#include "tile.cuh"

namespace protea::gpu {

constexpr int round_threads = 256;

// A thread rounds `Each` numbers of one row: eight, by two loads and a store of 16 bytes, where
// rows are aligned; else two, so that neighbouring lanes still read neighbouring numbers. 2^team
// threads go through a row together: no index is divided.
template <class T, int Each, class V>
__global__ void round_kernel(V from, T* to, int64_t rows, int64_t columns, int team) {
  int64_t i = first_index() >> team;
  int64_t member = threadIdx.x & ((1u << team) - 1);
  int64_t k = ((static_cast<int64_t>(blockIdx.y) << team) + member) * Each;
  if (i >= rows || k >= columns) return;
  T* at = to + i * columns + k;
  if constexpr (Each == 8) {
    float4 a = from.four(i, k), b = from.four(i, k + 4);
    *reinterpret_cast<uint4*>(at) = make_uint4(packed<T>(a.x, a.y), packed<T>(a.z, a.w),
                                               packed<T>(b.x, b.y), packed<T>(b.z, b.w));
  } else {
    *reinterpret_cast<uint32_t*>(at) = packed<T>(from.at(i, k), from.at(i, k + 1));
  }
}

template <class T, int Each, class V>
void round_each(Gpu& gpu, const V& from, T* to, int64_t rows, int64_t columns) {
  int team = 0;
  while (1 << team < round_threads && Each << team < columns) team++;
  int64_t down = (rows << team) + round_threads - 1, across = columns + (Each << team) - 1;
  dim3 blocks(static_cast<unsigned>(down / round_threads),
              static_cast<unsigned>(across / (Each << team)));
  GPU_LAUNCH(gpu, (round_kernel<T, Each, V>), Grid{blocks, dim3(round_threads)}, from, to, rows,
             columns, team);
}

// to (rows, columns), columns a multiple of 8; beyond `from` it is 0.
template <class T, class V>
void round_rows(Gpu& gpu, const V& from, T* to, int64_t rows, int64_t columns) {
  if (rows * columns == 0) return;
  if (from.in_fours())
    round_each<T, 8>(gpu, from, to, rows, columns);
  else
    round_each<T, 2>(gpu, from, to, rows, columns);
}

inline int64_t whole(int64_t size, int64_t unit) { return ceil_div(size, unit) * unit; }

}  // namespace protea::gpu
