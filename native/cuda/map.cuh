#pragma once
// y_i = map(i) over many elements, in f32 or, rounded, in bf16. Map is a struct with a device
// operator().
#include "block.cuh"
#include "device.h"

namespace protea::gpu {

constexpr int map_threads = 256, map_each = 4;
constexpr int64_t row_piece = 32 * map_each;  // of a row, by a warp

// Elements first, first + step, ... before `end` (all_inside: none lies beyond it). All their loads
// are under way before the first is stored: one at a time, a thread has four bytes under way and
// memory is busy half of the time.
template <int step, bool all_inside, class Map, class To>
GPU_DEVICE void map_several(const Map& map, To* to, int64_t first, int64_t end, bool accumulate) {
  auto inside = [&](int n) { return all_inside || first + n * step < end; };
  float old[map_each], value[map_each];
#pragma unroll
  for (int n = 0; n < map_each; n++)
    old[n] = accumulate && inside(n) ? to_float(to[first + n * step]) : 0;
#pragma unroll
  for (int n = 0; n < map_each; n++) value[n] = inside(n) ? map(first + n * step) : 0;
#pragma unroll
  for (int n = 0; n < map_each; n++)
    if (inside(n)) to[first + n * step] = rounded<To>(accumulate ? old[n] + value[n] : value[n]);
}

// A block takes `span` elements at a time, of which neighbouring threads have neighbours.
template <class Map, class To>
__global__ void map_kernel(Map map, To* to, int64_t n, int64_t span, bool accumulate) {
  for (int64_t begin = blockIdx.x * span; begin < n; begin += gridDim.x * span) {
    int64_t first = begin + threadIdx.x, end = begin + span < n ? begin + span : n;
    if (end - begin == map_each * map_threads)
      map_several<map_threads, true>(map, to, first, end, accumulate);
    else
      map_several<map_threads, false>(map, to, first, end, accumulate);
  }
}

template <class Map, class To>
void store(Gpu& gpu, Map map, To* to, int64_t n, bool accumulate = false) {
  if (n <= 0) return;
  // Few elements go one to a thread, so that no processor is left without any.
  constexpr int64_t whole_span = map_each * map_threads;
  int64_t span = n / whole_span < gpu.processors() ? map_threads : whole_span;
  int64_t turns = ceil_div(n, span);
  GPU_LAUNCH(gpu, (map_kernel<Map, To>), cover(turns * map_threads, map_threads), map, to, n, span,
             accumulate);
}

// For a gradient, if it is wanted.
template <class Map>
void store(Gpu& gpu, Map map, const Gradient& to) {
  if (to) store(gpu, map, to.as<float>(), to.array.size(), to.accumulate);
}

// A warp takes a piece of a row, so what the row decides is found once for it.
template <class Map, class To>
__global__ void map_rows_kernel(Map map, To* to, int64_t rows, int64_t columns, bool accumulate) {
  int64_t begin = blockIdx.x * row_piece, first = begin + lane_index();
  int64_t step = static_cast<int64_t>(gridDim.y) * warp_count();
  for (int64_t i = blockIdx.y * warp_count() + warp_index(); i < rows; i += step) {
    auto row = map.row(i);
    if (begin + row_piece <= columns)
      map_several<32, true>(row, to + i * columns, first, columns, accumulate);
    else
      map_several<32, false>(row, to + i * columns, first, columns, accumulate);
  }
}

// y_ij = map.row(i)(j), stored row by row: no element pays for a division of its index.
template <class Map, class To>
void store_rows(Gpu& gpu, Map map, To* to, int64_t rows, int64_t columns, bool accumulate = false) {
  if (rows <= 0 || columns <= 0) return;
  constexpr int64_t warps = map_threads / 32, most = 65535;
  int64_t across = ceil_div(columns, row_piece), down = ceil_div(rows, warps);
  dim3 blocks(static_cast<unsigned>(across), static_cast<unsigned>(down < most ? down : most));
  GPU_LAUNCH(gpu, (map_rows_kernel<Map, To>), Grid{blocks, dim3(map_threads)}, map, to, rows,
             columns, accumulate);
}

// For a gradient whose last dimension is a row.
template <class Map>
void store_rows(Gpu& gpu, Map map, const Gradient& to) {
  if (to)
    store_rows(gpu, map, to.as<float>(), to.array.shape.rows(), to.array.dim(-1), to.accumulate);
}

// f of each number of one array, or of each pair of two.
template <class F>
struct OfOne {
  const float* x;
  F f = {};
  GPU_DEVICE float operator()(int64_t i) const { return f(x[i]); }
};

template <class F>
struct OfTwo {
  const float *x, *y;
  F f = {};
  GPU_DEVICE float operator()(int64_t i) const { return f(x[i], y[i]); }
};

// A copy.
template <class T>
struct Same {
  const T* x;
  GPU_DEVICE float operator()(int64_t i) const { return to_float(x[i]); }
};

}  // namespace protea::gpu
