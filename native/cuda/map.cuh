#pragma once
// y_i = map(i) over many elements. Map is a struct with a device operator().
#include "device.h"

namespace protea::gpu {

template <class Map>
__global__ void map_kernel(Map map, float* to, int64_t n, bool accumulate) {
  for (int64_t i = first_index(); i < n; i += index_stride()) put(to, i, map(i), accumulate);
}

template <class Map>
void store(Gpu& gpu, Map map, float* to, int64_t n, bool accumulate = false) {
  if (n > 0) GPU_LAUNCH(gpu, map_kernel<Map>, cover(n), map, to, n, accumulate);
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
