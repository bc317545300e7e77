#pragma once
// y_i = map(i) over many elements. Map is a struct with a device operator().
#include "device.h"

namespace protea::gpu {

constexpr int map_threads = 256, map_each = 4;

// Elements first, first + step, ... before `end` (all_inside: none lies beyond it). All their loads
// are under way before the first is stored: one at a time, a thread has four bytes under way and
// memory is busy half of the time.
template <int step, bool all_inside, class Map>
GPU_DEVICE void map_several(const Map& map, float* to, int64_t first, int64_t end,
                            bool accumulate) {
  auto inside = [&](int n) { return all_inside || first + n * step < end; };
  float old[map_each], value[map_each];
#pragma unroll
  for (int n = 0; n < map_each; n++) old[n] = accumulate && inside(n) ? to[first + n * step] : 0;
#pragma unroll
  for (int n = 0; n < map_each; n++) value[n] = inside(n) ? map(first + n * step) : 0;
#pragma unroll
  for (int n = 0; n < map_each; n++)
    if (inside(n)) to[first + n * step] = accumulate ? old[n] + value[n] : value[n];
}

// A block takes `span` elements at a time, of which neighbouring threads have neighbours.
template <class Map>
__global__ void map_kernel(Map map, float* to, int64_t n, int64_t span, bool accumulate) {
  for (int64_t begin = blockIdx.x * span; begin < n; begin += gridDim.x * span) {
    int64_t first = begin + threadIdx.x, end = begin + span < n ? begin + span : n;
    if (end - begin == map_each * map_threads)
      map_several<map_threads, true>(map, to, first, end, accumulate);
    else
      map_several<map_threads, false>(map, to, first, end, accumulate);
  }
}

template <class Map>
void store(Gpu& gpu, Map map, float* to, int64_t n, bool accumulate = false) {
  if (n <= 0) return;
  // Few elements go one to a thread, so that no processor is left without any.
  constexpr int64_t whole_span = map_each * map_threads;
  int64_t span = n / whole_span < gpu.processors() ? map_threads : whole_span;
  int64_t turns = (n + span - 1) / span;
  GPU_LAUNCH(gpu, map_kernel<Map>, cover(turns * map_threads, map_threads), map, to, n, span,
             accumulate);
}

// For a gradient, if it is wanted.
template <class Map>
void store(Gpu& gpu, Map map, const Gradient& to) {
  if (to) store(gpu, map, to.as<float>(), to.array.size(), to.accumulate);
}

// A copy.
struct Same {
  const float* x;
  GPU_DEVICE float operator()(int64_t i) const { return x[i]; }
};

}  // namespace protea::gpu
