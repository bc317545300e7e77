#include <algorithm>

#include "../cuda/products.cuh"

namespace protea {
namespace {

using gpu::Tile;
using gpu::tile_rows;
using gpu::View;

constexpr int64_t most_parts = 32;  // a lane each when they are joined

// The k nearest so far of each row, nearest first: (rows, k).
struct Lists {
  float* value;
  int32_t* index;
  int64_t k;
};

// Puts a candidate into the sorted list of its row, by one warp. Candidates come in the order of
// their index, so one that is equal to another stands behind it.
GPU_DEVICE void insert(float* value, int32_t* index, int64_t k, float candidate, int32_t row) {
  int lane = gpu::lane_index();
  int64_t place = 0;
  for (int64_t begin = 0; begin < k; begin += 32) {
    bool nearer = begin + lane < k && value[begin + lane] >= candidate;
    place += __popc(__ballot_sync(gpu::all_lanes, nearer));
  }
  for (int64_t begin = (k - 1) / 32 * 32; begin >= place / 32 * 32; begin -= 32) {
    int64_t at = begin + lane;
    bool moves = at < k && at > place, placed = at < k && at == place;
    float v = moves ? value[at - 1] : candidate;
    int32_t i = moves ? index[at - 1] : row;
    __syncwarp();
    if (moves || placed) {
      value[at] = v;
      index[at] = i;
    }
    __syncwarp();
  }
}

// Block (x, y): 64 test rows against part y of the train rows.
__global__ void __launch_bounds__(gpu::tile_threads)
    search_kernel(View test, View train, int64_t part, Lists lists) {
  GPU_SHARED(float, left, [gpu::operand_size<float>()]);
  GPU_SHARED(float, right, [gpu::operand_size<float>()]);
  GPU_SHARED(float, scores, [tile_rows * gpu::score_stride]);
  int64_t row = static_cast<int64_t>(blockIdx.x) * tile_rows, begin = blockIdx.y * part;
  int64_t end = begin + part < train.rows ? begin + part : train.rows;
  int lane = gpu::lane_index();
  auto list_of = [&](int64_t i) { return (blockIdx.y * test.rows + row + i) * lists.k; };
  for (int r = gpu::warp_index(); r < tile_rows && row + r < test.rows; r += gpu::warp_count())
    for (int64_t j = lane; j < lists.k; j += 32) {
      lists.value[list_of(r) + j] = -INFINITY;
      lists.index[list_of(r) + j] = INT32_MAX;
    }
  for (int64_t column = begin; column < end; column += tile_rows) {
    Tile<float, 4, 4> product;
    gpu::multiply_rows(product, test, row, train, column, left, right);
    product.each([&](int i, int j, float s) { scores[i * gpu::score_stride + j] = s; });
    __syncthreads();
    for (int r = gpu::warp_index(); r < tile_rows && row + r < test.rows; r += gpu::warp_count())
      for (int half = 0; half < tile_rows; half += 32) {
        float* value = lists.value + list_of(r);
        float mine = scores[r * gpu::score_stride + half + lane];
        bool inside = column + half + lane < end;
        unsigned wanted = __ballot_sync(gpu::all_lanes, inside && mine > value[lists.k - 1]);
        for (; wanted; wanted &= wanted - 1) {
          int from = __ffs(static_cast<int>(wanted)) - 1;
          float candidate = __shfl_sync(gpu::all_lanes, mine, from);
          if (candidate > value[lists.k - 1])
            insert(value, lists.index + list_of(r), lists.k, candidate,
                   static_cast<int32_t>(column + half + from));
        }
      }
    // Before the scores are written again, multiply_rows waits for all.
  }
}

// A warp a row: the nearest of the heads of all parts' lists, k times. Parts hold rising indices,
// so of equal values the lowest part's comes first.
__global__ void join_kernel(Lists lists, int64_t parts, int64_t rows, float* value,
                            int32_t* index) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  int64_t row = i < rows ? i : 0, head = 0;
  int lane = gpu::lane_index();
  for (int64_t n = 0; n < lists.k; n++) {
    int64_t at = (lane * rows + row) * lists.k + head;
    bool has = lane < parts && head < lists.k && lists.index[at] != INT32_MAX;
    float mine = has ? lists.value[at] : -INFINITY;
    float best = gpu::warp_max(mine);
    unsigned winners = __ballot_sync(gpu::all_lanes, has && mine == best);
    int winner = winners ? __ffs(static_cast<int>(winners)) - 1 : 0;
    if (lane != winner) continue;
    head++;
    if (i >= rows) continue;
    value[i * lists.k + n] = winners ? mine : NAN;
    index[i * lists.k + n] = winners ? lists.index[at] : 0;
  }
}

void forward(const Run& run) {
  const Array &test = run.in[0], &train = run.in[1];
  int64_t N = test.dim(0), M = train.dim(0), D = test.dim(1), k = run.attrs.integer("k");
  if (N == 0) return;
  Gpu& gpu = Gpu::of(run);
  int64_t tiles = ceil_div(N, tile_rows), blocks = ceil_div(M, tile_rows);
  int64_t wanted = ceil_div(2 * gpu.processors(), tiles);
  int64_t parts = std::clamp<int64_t>(std::min(wanted, blocks), 1, most_parts);
  int64_t part = ceil_div(blocks, parts) * tile_rows;
  parts = ceil_div(M, part);
  Lists lists{gpu.scratch<float>(0, parts * N * k), gpu.scratch<int32_t>(1, parts * N * k), k};
  dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(parts));
  GPU_LAUNCH(gpu, search_kernel, gpu::Grid{grid, dim3(gpu::tile_threads)},
             View{test.as<float>(), N, D, D, 1}, View{train.as<float>(), M, D, D, 1}, part, lists);
  GPU_LAUNCH(gpu, join_kernel, gpu::a_warp_each(N), lists, parts, N, run.out[0].as<float>(),
             run.out[1].as<int32_t>());
}

}  // namespace

extern const Kernel knn_top_k_cuda = {forward, nullptr};

}  // namespace protea
