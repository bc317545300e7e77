#pragma once
// Sums over many elements in a fixed order: pieces first, then the pieces in order.
#include "block.cuh"
#include "device.h"

namespace protea::gpu {

constexpr int sum_rows = 8, sum_columns = 32;  // threads of a block of column sums
constexpr int64_t rows_per_piece = 128, elements_per_piece = 1 << 13;
constexpr int column_slot = Gpu::first_inner_slot, total_slot = Gpu::first_inner_slot + 1;

// partial[piece, j] = sum over the rows of a piece of term(i, j)
template <class Term>
__global__ void column_pieces_kernel(Term term, int64_t rows, int64_t columns, float* partial) {
  GPU_SHARED(float, sums, [sum_rows][sum_columns]);
  int lane = static_cast<int>(threadIdx.x % sum_columns);
  int team = static_cast<int>(threadIdx.x / sum_columns);
  int64_t j = static_cast<int64_t>(blockIdx.x) * sum_columns + lane;
  int64_t begin = blockIdx.y * rows_per_piece;
  int64_t end = begin + rows_per_piece < rows ? begin + rows_per_piece : rows;
  float sum = 0;
  if (j < columns)
    for (int64_t i = begin + team; i < end; i += sum_rows) sum += term(i, j);
  sums[team][lane] = sum;
  __syncthreads();
  if (team > 0 || j >= columns) return;
  for (int other = 1; other < sum_rows; other++) sum += sums[other][lane];
  partial[blockIdx.y * columns + j] = sum;
}

[[maybe_unused]] static __global__ void join_columns_kernel(const float* partial, int64_t pieces,
                                                            int64_t columns, float scale, float* to,
                                                            bool accumulate) {
  for (int64_t j = first_index(); j < columns; j += index_stride()) {
    float sum = 0;
    for (int64_t p = 0; p < pieces; p++) sum += partial[p * columns + j];
    put(to, j, scale * sum, accumulate);
  }
}

// to[j] = or += scale times the sum over i < rows of term(i, j). Term is a struct with a device
// operator().
template <class Term>
void column_sums(Gpu& gpu, Term term, int64_t rows, int64_t columns, float* to, bool accumulate,
                 float scale = 1) {
  if (columns == 0) return;
  int64_t pieces = (rows + rows_per_piece - 1) / rows_per_piece;
  float* partial = gpu.scratch<float>(column_slot, (pieces ? pieces : 1) * columns);
  if (pieces) {
    dim3 blocks(static_cast<unsigned>((columns + sum_columns - 1) / sum_columns),
                static_cast<unsigned>(pieces));
    GPU_LAUNCH(gpu, column_pieces_kernel<Term>, Grid{blocks, dim3(sum_rows * sum_columns)}, term,
               rows, columns, partial);
  }
  GPU_LAUNCH(gpu, join_columns_kernel, cover(columns), partial, pieces, columns, scale, to,
             accumulate);
}

// The plain case: columns of a stored matrix.
struct Stored {
  const float* x;
  int64_t stride;
  GPU_DEVICE float operator()(int64_t i, int64_t j) const { return x[i * stride + j]; }
};

// pieces[p] = sum of term(i) over the p-th piece, in double.
template <class Term>
__global__ void total_pieces_kernel(Term term, int64_t n, double* pieces) {
  int64_t begin = blockIdx.x * elements_per_piece;
  int64_t end = begin + elements_per_piece < n ? begin + elements_per_piece : n;
  double sum = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) sum += term(i);
  sum = block_sum(sum);
  if (threadIdx.x == 0) pieces[blockIdx.x] = sum;
}

// One block adds the pieces and hands the total on: finish(total).
template <class Finish>
__global__ void join_total_kernel(const double* pieces, int64_t count, Finish finish) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) sum += pieces[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) finish(sum);
}

template <class Term, class Finish>
void total(Gpu& gpu, Term term, int64_t n, Finish finish) {
  int64_t pieces = (n + elements_per_piece - 1) / elements_per_piece;
  double* partial = gpu.scratch<double>(total_slot, pieces ? pieces : 1);
  if (pieces)
    GPU_LAUNCH(gpu, total_pieces_kernel<Term>, Grid{dim3(static_cast<unsigned>(pieces)), dim3(256)},
               term, n, partial);
  GPU_LAUNCH(gpu, join_total_kernel<Finish>, Grid{dim3(1), dim3(256)}, partial, pieces, finish);
}

// A finish that stores the scaled total.
struct StoreTotal {
  float* to;
  double scale = 1;
  GPU_DEVICE void operator()(double sum) const { *to = static_cast<float>(scale * sum); }
};

}  // namespace protea::gpu
