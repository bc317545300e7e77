#pragma once
// A row is worked on by a team: a warp, or a whole block when the row is long. All threads of a
// block reach every sum; rows past the end are computed on a row that exists and not written.
#include "block.cuh"
#include "device.h"

namespace protea::gpu {

constexpr int row_threads = 256;
constexpr int64_t long_row = 2048;

template <bool whole_block>
struct RowTeam {
  int64_t row;  // may be past the end
  int index;    // of the thread in its team
  static constexpr int size = whole_block ? row_threads : 32;

  GPU_DEVICE RowTeam()
      : row(whole_block ? blockIdx.x
                        : static_cast<int64_t>(blockIdx.x) * (row_threads / 32) + warp_index()),
        index(whole_block ? static_cast<int>(threadIdx.x) : lane_index()) {}

  template <class T>
  GPU_DEVICE T sum(T value) const {
    if constexpr (whole_block)
      return block_sum(value);
    else
      return warp_sum(value);
  }
  GPU_DEVICE float max(float value) const {
    if constexpr (whole_block)
      return block_max(value);
    else
      return warp_max(value);
  }
};

// Launches kernel<true> or kernel<false>, whichever fits rows of D numbers.
template <class... P, class... A>
void launch_rows(Gpu& gpu, const char* name, void (*by_block)(P...), void (*by_warp)(P...),
                 int64_t rows, int64_t D, A... arguments) {
  if (rows == 0) return;
  bool whole = D > long_row;
  int64_t blocks = whole ? rows : (rows + row_threads / 32 - 1) / (row_threads / 32);
  Grid grid{dim3(static_cast<unsigned>(blocks)), dim3(row_threads)};
  launch_on(gpu, name, whole ? by_block : by_warp, grid, arguments...);
}

#define GPU_LAUNCH_ROWS(gpu_, kernel, rows, D, ...)                                             \
  ::protea::gpu::launch_rows((gpu_), #kernel, kernel<true>, kernel<false>, (rows), (D), (rows), \
                             (D), __VA_ARGS__)

}  // namespace protea::gpu
