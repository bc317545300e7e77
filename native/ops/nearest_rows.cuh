#pragma once
// The most similar other row of every row: over tiles of the upper triangle, each for its rows and
// its columns. Nothing of size rows x rows is kept.
#include "../cuda/products.cuh"
#include "../cuda/rows.cuh"

namespace protea::gpu {

// A similarity and the row it belongs to as one number: the larger similarity wins, then the lower
// row. The maximum of such numbers does not depend on the order it is taken in.
typedef unsigned long long Candidate;

GPU_DEVICE Candidate candidate(float similarity, int64_t row) {
  if (similarity != similarity) return 0;  // a NaN is similar to none
  unsigned bits = __float_as_uint(similarity);
  bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<Candidate>(bits) << 32 | (0xffffffffu - static_cast<unsigned>(row));
}

// The row found for row `of`. One that is not finite is similar to none: any other row will do, the
// NaN goes on in its distance.
GPU_DEVICE int64_t row_of(Candidate found, int64_t of) {
  if (!found) return of == 0 ? 1 : 0;
  return static_cast<int64_t>(0xffffffffu - static_cast<unsigned>(found));
}

// u = x / max(||x||, eps), the norm taken in double and kept where `norm` is given.
template <bool whole_block>
__global__ void normalise_kernel(int64_t rows, int64_t D, const float* x, double eps, float* u,
                                 float* norm) {
  RowTeam<whole_block> team;
  bool inside = team.row < rows;
  const float* from = x + (inside ? team.row : 0) * D;
  double square = 0;
  for (int64_t d = team.index; d < D; d += team.size)
    square += static_cast<double>(from[d]) * from[d];
  double length = sqrt(team.sum(square)), inverse = 1 / (length < eps ? eps : length);
  if (!inside) return;
  for (int64_t d = team.index; d < D; d += team.size)
    u[team.row * D + d] = static_cast<float>(from[d] * inverse);
  if (norm && team.index == 0) norm[team.row] = static_cast<float>(length);
}

// Block n makes tile (i, j), i <= j, of u uᵀ: its rows' candidates and its columns'.
template <class T>
__global__ void __launch_bounds__(tile_threads) search_kernel(View u, Candidate* best) {
  GPU_SHARED(T, left, [operand_size<T>()]);
  GPU_SHARED(T, right, [operand_size<T>()]);
  GPU_SHARED(float, scores, [tile_rows * score_stride]);
  Pair tile = triangle_pair(blockIdx.x);
  int64_t row = tile.i * tile_rows, column = tile.j * tile_rows;
  Tile<T, 4, 4> product;
  multiply_rows(product, u, row, u, column, left, right);
  product.each([&](int r, int c, float s) { scores[r * score_stride + c] = s; });
  __syncthreads();
  bool of_column = threadIdx.x >= 2 * tile_rows;
  int at = static_cast<int>(threadIdx.x % tile_rows), half = threadIdx.x / tile_rows % 2;
  int64_t self = (of_column ? column : row) + at, other = (of_column ? row : column) + half * 32;
  Candidate found = 0;
  for (int n = 0; n < 32; n++) {
    int64_t with = other + n;
    int place = half * 32 + n;
    float s = scores[(of_column ? place : at) * score_stride + (of_column ? at : place)];
    Candidate offered = candidate(s, with);
    if (self < u.rows && with < u.rows && with != self && offered > found) found = offered;
  }
  if (found) atomicMax(best + self, found);
}

// best (rows) = the candidate of every row of u.
inline void search_nearest(Gpu& gpu, const View& u, Candidate* best) {
  int64_t tiles = (u.rows + tile_rows - 1) / tile_rows;
  gpu.fill(best, 0, u.rows * sizeof(Candidate));
  dim3 triangle(static_cast<unsigned>(tiles * (tiles + 1) / 2));
  GPU_LAUNCH(gpu, search_kernel<float>, Grid{triangle, dim3(tile_threads)}, u, best);
}

}  // namespace protea::gpu
