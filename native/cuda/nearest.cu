// Tensor cores find who may be nearest, by directions rounded to f16; who it is, products in f32
// decide. With b the largest error of a rounded similarity s', the nearest row n of any row has
//   s'_n >= s_n - b >= s_j - b >= s'_j - 2 b   for every other row j,
// so it is among those within 2 b of the best rounded similarity that was met so far, whatever the
// order is in which rows are met. All of these are computed again in f32, and so the result has the
// same bits in every run.
#include "nearest.h"

#include <cmath>

#include "products.cuh"
#include "rounded.cuh"
#include "stages.cuh"

namespace protea::gpu {
namespace {

constexpr int side = 128;  // rows, and columns, of a tile
constexpr int depth = 64;  // of a step
constexpr int stride = tile_stride<f16>(depth), operand = side * stride;
constexpr int most_listed = 256;  // pairs of a tile; with more, all are computed again

using Rough = Tile<f16, side / 16, side / 16>;

struct Search {
  Directions u;
  const f16* halves;  // (padded rows, padded), with zeros behind rows and depth
  int64_t padded;     // a multiple of `depth`
  unsigned* rough;    // the best rounded similarity of every row so far, as ordered()
  Candidate* best;
  float doubt;  // 2 b
};

// What a tile's rows and columns know and find.
struct Sides {
  unsigned* most;    // (2 side) rounded similarities within this tile, as ordered()
  float* limit;      // (2 side) who may be nearest is at least as similar
  Candidate* found;  // (2 side)
};

// The rounded similarities of a tile.
GPU_DEVICE void multiply_halves(Rough& product, const Search& search, int64_t row, int64_t column,
                                f16* stages) {
  const f16 *a = search.halves + row * search.padded, *b = search.halves + column * search.padded;
  auto left = [&](int stage) { return stages + 2 * stage * operand; };
  auto right = [&](int stage) { return left(stage) + operand; };
  auto fetch = [&](int64_t k, int stage) {
    fetch_rows<depth>(left(stage), stride, a + k, search.padded, side);
    fetch_rows<depth>(right(stage), stride, b + k, search.padded, side);
  };
  product.clear();
  in_stages(0, search.padded, depth, fetch, [&](int64_t, int stage) {
    product.multiply(left(stage), stride, right(stage), stride, depth);
  });
}

// A row is not similar to itself, and not to what is no row.
GPU_DEVICE void leave_out(Rough& product, int64_t rows, int64_t row, int64_t column) {
  if (row != column && column + side <= rows) return;
  product.each([&](int i, int j, float& s) {
    if (row + i == column + j || row + i >= rows || column + j >= rows) s = -INFINITY;
  });
}

// Thread n looks after row n of the tile, or its column n - side.
GPU_DEVICE int64_t place_of(unsigned n, int64_t row, int64_t column) {
  return n < side ? row + n : column + (n - side);
}

// Tells the others how similar the tile's rows and columns are to each other, and sets the limits.
GPU_DEVICE void set_limits(const Rough& product, const Search& search, int64_t row, int64_t column,
                           const Sides& sides) {
  sides.most[threadIdx.x] = 0;
  sides.found[threadIdx.x] = 0;
  __syncthreads();
  product.row_maxima([&](int i, float s) { atomicMax(sides.most + i, ordered(s)); });
  product.column_maxima([&](int j, float s) { atomicMax(sides.most + side + j, ordered(s)); });
  __syncthreads();
  int64_t place = place_of(threadIdx.x, row, column);
  unsigned most = sides.most[threadIdx.x];
  float limit = INFINITY;
  if (place < search.u.rows) {
    unsigned before = atomicMax(search.rough + place, most);
    limit = unordered(before > most ? before : most) - search.doubt;
  }
  sides.limit[threadIdx.x] = limit;
  __syncthreads();
}

constexpr int chunk = 512;  // numbers of a row that a warp fetches at a time

// The similarity of two rows, rounded and summed up as Tile<float> does it: a warp fetches their
// numbers, its first lane, for which the result is, adds products in order. `room`: 2 chunks.
GPU_DEVICE float similarity(const Directions& u, int64_t i, int64_t j, float* room) {
  float sum = 0;
  for (int64_t begin = 0; begin < u.depth; begin += chunk) {
    int count = static_cast<int>(u.depth - begin < chunk ? u.depth - begin : chunk);
    __syncwarp();  // the first lane has used the last chunk
    for (int k = lane_index(); k < count; k += 32) {
      room[k] = u.at(i, begin + k);
      room[chunk + k] = u.at(j, begin + k);
    }
    __syncwarp();
#pragma unroll 8
    for (int k = 0; k < count && lane_index() == 0; k++)
      sum = multiply_add(room[k], room[chunk + k], sum);
  }
  return sum;
}

GPU_DEVICE void offer(Candidate* found, float s, int64_t row) {
  Candidate offered = candidate(s, row);
  if (offered > load_now(found)) atomicMax(found, offered);
}

// Could row `other` still become the nearest? Of copies only one before the best so far.
GPU_DEVICE bool may_win(Candidate best, int64_t other) { return best < candidate(copies, other); }

// Lists the pairs of which either may be nearest to the other. Few are: threads mark theirs first.
GPU_DEVICE void list_pairs(const Rough& product, const Search& search, int64_t row, int64_t column,
                           const Sides& sides, int* count, uint16_t* list) {
  static_assert(Rough::values == 64);
  uint64_t marks = 0;
  int n = 0;
  product.each([&](int i, int j, float s) {
    bool near = s != -INFINITY && (s >= sides.limit[i] || s >= sides.limit[side + j]);
    marks |= static_cast<uint64_t>(near) << n++;
  });
  for (; marks; marks &= marks - 1) {
    auto [i, j] = Rough::place(__ffsll(static_cast<long long>(marks)) - 1);
    if (!may_win(load_now(search.best + row + i), column + j) &&
        !may_win(load_now(search.best + column + j), row + i))
      continue;
    int at = atomicAdd(count, 1);
    if (at < most_listed) list[at] = static_cast<uint16_t>(i * side + j);
  }
}

GPU_DEVICE void compute_listed(const Search& search, int64_t row, int64_t column,
                               const Sides& sides, int count, const uint16_t* list, float* room) {
  for (int n = warp_index(); n < count; n += tile_threads / 32) {
    int i = list[n] / side, j = list[n] % side;
    float s = similarity(search.u, row + i, column + j, room + warp_index() * 2 * chunk);
    if (lane_index() > 0) continue;
    offer(sides.found + i, s, column + j);
    offer(sides.found + side + j, s, row + i);
  }
}

// So many are near each other that a list of them is no help.
GPU_DEVICE void compute_all(const Search& search, int64_t row, int64_t column, const Sides& sides,
                            float* operands) {
  const Directions& u = search.u;
  for (int part = 0; part < 4; part++) {
    int down = part / 2 * tile_rows, across = part % 2 * tile_rows;
    Tile<float, 4, 4> product;
    multiply_rows(product, u, row + down, u, column + across, operands,
                  operands + operand_size<float>());
    product.each([&](int r, int c, float s) {
      int i = down + r, j = across + c;
      if (row + i >= u.rows || column + j >= u.rows || row + i == column + j) return;
      offer(sides.found + i, s, column + j);
      offer(sides.found + side + j, s, row + i);
    });
  }
}

constexpr size_t stage_bytes = carved<f16>(4 * operand);
static_assert(2 * operand_size<float>() * sizeof(float) <= stage_bytes);
static_assert(tile_threads / 32 * 2 * chunk * sizeof(float) <= stage_bytes);

// Block n makes tile (i, j), i <= j, of u uᵀ.
__global__ void __launch_bounds__(tile_threads) search_kernel(Search search) {
  Carver carver;
  f16* stages = carver.take<f16>(4 * operand);
  GPU_SHARED(unsigned, most, [2 * side]);
  GPU_SHARED(float, limit, [2 * side]);
  GPU_SHARED(Candidate, found, [2 * side]);
  GPU_SHARED(uint16_t, list, [most_listed]);
  GPU_SHARED(int, count, );
  Sides sides{most, limit, found};
  Pair tile = triangle_pair(blockIdx.x);
  int64_t row = tile.i * side, column = tile.j * side;
  if (threadIdx.x == 0) count = 0;
  Rough product;
  multiply_halves(product, search, row, column, stages);
  leave_out(product, search.u.rows, row, column);
  set_limits(product, search, row, column, sides);
  list_pairs(product, search, row, column, sides, &count, list);
  __syncthreads();
  auto* room = reinterpret_cast<float*>(stages);
  if (count <= most_listed)
    compute_listed(search, row, column, sides, count, list, room);
  else
    compute_all(search, row, column, sides, room);
  __syncthreads();
  if (Candidate best = found[threadIdx.x])
    atomicMax(search.best + place_of(threadIdx.x, row, column), best);
}

}  // namespace

void search_nearest(Gpu& gpu, const Directions& u, Candidate* best) {
  static_assert(2 * side == tile_threads);
  int64_t rows = whole(u.rows, side), padded = whole(u.depth, depth), tiles = rows / side;
  f16* halves = gpu.scratch<f16>(Gpu::halves_slot, rows * padded);
  auto* rough = gpu.scratch<unsigned>(Gpu::rough_slot, u.rows);
  gpu.fill(best, 0, u.rows * sizeof(Candidate));
  gpu.fill(rough, 0, u.rows * sizeof(unsigned));
  round_rows(gpu, u, halves, rows, padded);
  dim3 triangle(static_cast<unsigned>(tiles * (tiles + 1) / 2));
  GPU_LAUNCH(gpu, search_kernel, Grid{triangle, dim3(tile_threads), stage_bytes},
             Search{u, halves, padded, rough, best, static_cast<float>(2 * rough_error(u.depth))});
}

}  // namespace protea::gpu
