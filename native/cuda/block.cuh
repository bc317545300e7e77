#pragma once
// Reductions of a warp and of a block. All threads take part; all get the result.
#include "gpu.h"

namespace protea::gpu {

GPU_DEVICE int lane_index() { return static_cast<int>(threadIdx.x & 31); }
GPU_DEVICE int warp_index() { return static_cast<int>(threadIdx.x >> 5); }
GPU_DEVICE int warp_count() { return static_cast<int>(blockDim.x >> 5); }

template <class T>
GPU_DEVICE T warp_sum(T value) {
  for (int bits = 16; bits; bits >>= 1) value += __shfl_xor_sync(all_lanes, value, bits);
  return value;
}

GPU_DEVICE float larger(float a, float b) { return fmaxf(a, b); }
GPU_DEVICE double larger(double a, double b) { return fmax(a, b); }

template <class T>
GPU_DEVICE T warp_max(T value) {
  for (int bits = 16; bits; bits >>= 1)
    value = larger(value, __shfl_xor_sync(all_lanes, value, bits));
  return value;
}

// Warps' results meet in shared memory; the second barrier lets the array be used again.
template <class T>
GPU_DEVICE T block_sum(T value) {
  GPU_SHARED(T, parts, [32]);
  value = warp_sum(value);
  if (lane_index() == 0) parts[warp_index()] = value;
  __syncthreads();
  value = warp_sum(lane_index() < warp_count() ? parts[lane_index()] : T(0));
  __syncthreads();
  return value;
}

template <class T>
GPU_DEVICE T block_max(T value) {
  GPU_SHARED(T, parts, [32]);
  value = warp_max(value);
  if (lane_index() == 0) parts[warp_index()] = value;
  __syncthreads();
  value = warp_max(lane_index() < warp_count() ? parts[lane_index()] : T(-INFINITY));
  __syncthreads();
  return value;
}

}  // namespace protea::gpu
