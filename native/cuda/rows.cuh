#pragma once
// A row is worked on by a team: a warp, or a whole block when the row is long, a large one when it
// is very long: a few rows leave room for no more than a block a processor. All threads of a block
// reach every sum; a team past the end computes on a row that exists and writes nothing.
#include "block.cuh"
#include "device.h"

namespace protea::gpu {

constexpr int row_threads = 256, most_row_threads = 1024;
constexpr int64_t long_row = 2048, very_long_row = 8192;

// What a kernel of rows states by __launch_bounds__: without it the largest block may find too few
// registers.
template <bool whole_block>
constexpr int row_bound = whole_block ? most_row_threads : row_threads;

template <bool whole_block>
struct RowTeam {
  bool inside;  // there is a row for this team
  int64_t row;  // its own, or the first
  int index;    // of the thread in its team
  int size;

  GPU_DEVICE explicit RowTeam(int64_t rows)
      : index(whole_block ? static_cast<int>(threadIdx.x) : lane_index()),
        size(whole_block ? static_cast<int>(blockDim.x) : 32) {
    int64_t own = blockIdx.x;
    if constexpr (!whole_block) own = own * (row_threads / 32) + warp_index();
    inside = own < rows;
    row = inside ? own : 0;
  }

  // use(d) for each number d of a row of D that is this thread's. Of eight the loads are under way
  // together, where use() stores nothing that it might load: state it by __restrict__.
  template <class Use>
  GPU_DEVICE void each(int64_t D, const Use& use) const {
    constexpr int at_once = 8;
    int64_t d = index;
    for (; d + (at_once - 1) * size < D; d += at_once * size)
#pragma unroll
      for (int n = 0; n < at_once; n++) use(d + n * size);
    for (; d < D; d += size) use(d);
  }

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

// A row as a thread of its warp sees it: read once, `held` numbers in registers; or, with 0, from
// memory each time, because the row is longer.
template <int held, class T = float>
class HeldRow {
 public:
  GPU_DEVICE HeldRow(const RowTeam<false>& team, const T* row, int64_t D) {
#pragma unroll
    for (int n = 0; n < held; n++)
      numbers_[n] = team.index + 32 * n < D ? to_float(row[team.index + 32 * n]) : 0;
  }
  GPU_DEVICE float at(int n, int64_t) const { return numbers_[n]; }

 private:
  float numbers_[held];
};

template <class T>
class HeldRow<0, T> {
 public:
  template <class Team>
  GPU_DEVICE HeldRow(const Team&, const T* row, int64_t) : row_(row) {}
  GPU_DEVICE float at(int, int64_t d) const { return to_float(row_[d]); }

 private:
  const T* row_;
};

// use(n, d) for each number d of a row of D that is this thread's, its n-th.
template <int held, class Team, class Use>
GPU_DEVICE void each_held(const Team& team, int64_t D, const Use& use) {
  if constexpr (held == 0) {
    team.each(D, [&](int64_t d) { use(0, d); });
  } else {
#pragma unroll
    for (int n = 0; n < held; n++)
      if (team.index + 32 * n < D) use(n, team.index + 32 * n);
  }
}

// Calls body.operator()<held>() with what a lane may hold of rows of D numbers.
template <class Body>
void with_held(int64_t D, const Body& body) {
  if (D <= 12 * 32) return body.template operator()<12>();
  if (D <= 32 * 32) return body.template operator()<32>();
  body.template operator()<0>();
}

// Launches kernel<true> or kernel<false>, whichever fits rows of D numbers.
template <class... P, class... A>
void launch_rows(Gpu& gpu, const char* name, void (*by_block)(P...), void (*by_warp)(P...),
                 int64_t rows, int64_t D, A... arguments) {
  if (rows == 0) return;
  bool whole = D > long_row;
  int64_t blocks = whole ? rows : ceil_div(rows, row_threads / 32);
  Grid grid{dim3(static_cast<unsigned>(blocks)),
            dim3(D < very_long_row ? row_threads : most_row_threads)};
  launch_on(gpu, name, whole ? by_block : by_warp, grid, arguments...);
}

#define GPU_LAUNCH_ROWS(gpu_, kernel, rows, D, ...)                                             \
  ::protea::gpu::launch_rows((gpu_), #kernel, kernel<true>, kernel<false>, (rows), (D), (rows), \
                             (D), __VA_ARGS__)

}  // namespace protea::gpu
