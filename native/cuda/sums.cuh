#pragma once
// Sums over many elements in a fixed order: pieces first, then the pieces in order.
#include <algorithm>

#include "block.cuh"
#include "device.h"

namespace protea::gpu {

constexpr int sum_columns = 32;  // of a block of column sums, a lane each
// Warps that share the rows of such a block, and at most its partial sums.
constexpr int piece_teams = 8, most_join_teams = 32;
// A total's pieces are short: few long ones would leave most of a card idle.
constexpr int64_t rows_per_piece = 128, elements_per_piece = 1 << 10;
constexpr int total_threads = 256;

// The warps' sums of a column, added in the warps' order; the first warp gets the result.
template <int most_teams, class V>
GPU_DEVICE V add_teams(V sum) {
  GPU_SHARED(V, sums, [most_teams][sum_columns]);
  sums[warp_index()][lane_index()] = sum;
  __syncthreads();
  if (warp_index() == 0)
    for (int other = 1; other < warp_count(); other++) sum += sums[other][lane_index()];
  return sum;
}

// partial[piece, j] = sum over the rows of a piece of term(i, j)
template <class Term, class V>
__global__ void column_pieces_kernel(Term term, int64_t rows, int64_t columns, V* partial) {
  int64_t j = static_cast<int64_t>(blockIdx.x) * sum_columns + lane_index();
  int64_t begin = blockIdx.y * rows_per_piece;
  int64_t end = begin + rows_per_piece < rows ? begin + rows_per_piece : rows;
  V sum{};
  if (j < columns)
    for (int64_t i = begin + warp_index(); i < end; i += piece_teams) sum += term(i, j);
  sum = add_teams<piece_teams>(sum);
  if (warp_index() == 0 && j < columns) partial[blockIdx.y * columns + j] = sum;
}

// One thread a column would add hundreds of partial sums, a load behind the other, in two or three
// blocks of the whole card: the warps of a block share them, and each has four loads under way.
template <class V, class Finish>
__global__ void __launch_bounds__(most_join_teams* sum_columns)
    join_columns_kernel(const V* partial, int64_t pieces, int64_t columns, Finish finish) {
  int64_t j = static_cast<int64_t>(blockIdx.x) * sum_columns + lane_index();
  V sum{};
  for (int64_t first = warp_index(); j < columns && first < pieces; first += 4 * warp_count()) {
    V parts[4];
#pragma unroll
    for (int n = 0; n < 4; n++) {
      int64_t p = first + n * warp_count();
      parts[n] = partial[(p < pieces ? p : pieces - 1) * columns + j];
      if (p >= pieces) parts[n] = {};
    }
#pragma unroll
    for (int n = 0; n < 4; n++) sum += parts[n];
  }
  sum = add_teams<most_join_teams>(sum);
  if (warp_index() == 0 && j < columns) finish(j, sum);
}

// finish(j, sum over i < rows of term(i, j)) for each column. Term and Finish are structs with a
// device operator(); a term is a number, or a struct of numbers with += to be summed in one pass.
template <class Term, class Finish>
void sum_each_column(Gpu& gpu, Term term, int64_t rows, int64_t columns, Finish finish) {
  using V = decltype(term(rows, columns));
  if (columns == 0) return;
  int64_t pieces = ceil_div(rows, rows_per_piece);
  int64_t teams = std::clamp<int64_t>(pieces, 1, most_join_teams);
  V* partial = gpu.scratch<V>(Gpu::column_slot, (pieces ? pieces : 1) * columns);
  auto across = static_cast<unsigned>(ceil_div(columns, sum_columns));
  if (pieces)
    GPU_LAUNCH(gpu, (column_pieces_kernel<Term, V>),
               (Grid{dim3(across, static_cast<unsigned>(pieces)), dim3(piece_teams * sum_columns)}),
               term, rows, columns, partial);
  GPU_LAUNCH(gpu, (join_columns_kernel<V, Finish>),
             (Grid{dim3(across), dim3(static_cast<unsigned>(teams * sum_columns))}), partial,
             pieces, columns, finish);
}

// A finish that stores the scaled sum of a column.
struct PutColumn {
  float* to;
  bool accumulate;
  float scale;
  GPU_DEVICE void operator()(int64_t j, float sum) const { put(to, j, scale * sum, accumulate); }
};

// to[j] = or += scale times the sum over i < rows of term(i, j).
template <class Term>
void column_sums(Gpu& gpu, Term term, int64_t rows, int64_t columns, float* to, bool accumulate,
                 float scale = 1) {
  sum_each_column(gpu, term, rows, columns, PutColumn{to, accumulate, scale});
}

// The plain case: columns of a stored matrix.
template <class T>
struct Stored {
  const T* x;
  int64_t stride;
  GPU_DEVICE float operator()(int64_t i, int64_t j) const { return to_float(x[i * stride + j]); }
};

// pieces[p] = sum of term(i) over the p-th piece, in double.
template <class Term>
__global__ void total_pieces_kernel(Term term, int64_t n, double* pieces) {
  int64_t begin = blockIdx.x * elements_per_piece;
  int64_t end = begin + elements_per_piece < n ? begin + elements_per_piece : n;
  double sum = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += total_threads) sum += term(i);
  sum = block_sum(sum);
  if (threadIdx.x == 0) pieces[blockIdx.x] = sum;
}

// One block adds the pieces and hands the total on: finish(total).
template <class Finish>
__global__ void join_total_kernel(const double* pieces, int64_t count, Finish finish) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += total_threads) sum += pieces[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) finish(sum);
}

template <class Term, class Finish>
void total(Gpu& gpu, Term term, int64_t n, Finish finish) {
  int64_t pieces = ceil_div(n, elements_per_piece);
  double* partial = gpu.scratch<double>(Gpu::total_slot, pieces ? pieces : 1);
  if (pieces)
    GPU_LAUNCH(gpu, total_pieces_kernel<Term>,
               Grid{dim3(static_cast<unsigned>(pieces)), dim3(total_threads)}, term, n, partial);
  GPU_LAUNCH(gpu, join_total_kernel<Finish>, Grid{dim3(1), dim3(total_threads)}, partial, pieces,
             finish);
}

// Terms that are there already.
struct Terms {
  const double* of;
  GPU_DEVICE double operator()(int64_t i) const { return of[i]; }
};

// A finish that stores the scaled total.
struct StoreTotal {
  float* to;
  double scale = 1;
  GPU_DEVICE void operator()(double sum) const { *to = static_cast<float>(scale * sum); }
};

}  // namespace protea::gpu
