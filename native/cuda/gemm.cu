#include "gemm.h"

#include <algorithm>

#include "blas.h"
#include "map.cuh"
#include "math.cuh"
#include "stored.cuh"
#include "tile.cuh"

namespace protea::gpu {
namespace {

constexpr int depth = 32;  // of a step
constexpr int64_t least_depth = 256, most_splits = 32;

// An operand seen as (rows, depth), as View: of f32, or of bf16.
struct Operand {
  const float* data;
  const bf16* half;
  int64_t rows, depth, row, along;
  GPU_DEVICE float at(int64_t i, int64_t k) const {
    if (i >= rows || k >= depth) return 0;
    int64_t place = i * row + k * along;
    return half ? to_float(half[place]) : data[place];
  }
};

struct Result {
  Target c;
  int64_t ldc, M, N;
  bool accumulate;
  Epilogue epilogue;

  GPU_DEVICE void put(int64_t i, int64_t j, float value) const {
    if (i >= M || j >= N) return;
    if (epilogue.bias) value += epilogue.bias[j];
    if (c.half)
      put(c.half + i * ldc + j, epilogue.gelu.half + i * N + j, value);
    else
      put(c.data + i * ldc + j, epilogue.gelu.data + i * N + j, value);
  }
  template <class T>
  GPU_DEVICE void put(T* to, T* gelu_to, float value) const {
    if (accumulate) value += to_float(*to);
    *to = rounded<T>(value);
    if (epilogue.gelu) *gelu_to = rounded<T>(gelu(to_float(*to)));
  }
};

// Each block makes one tile of C over one piece of K. With several pieces the sums go to `partial`
// (pieces, M, N) and are joined afterwards, in order.
template <class T, int TM, int TN>
__global__ void __launch_bounds__(tile_threads)
    gemm_kernel(Operand a, Operand b, Result result, int64_t piece, float* partial) {
  using Product = Tile<T, TM, TN>;
  constexpr int stride = tile_stride<T>(depth);
  GPU_SHARED(T, left, [Product::rows * stride]);
  GPU_SHARED(T, right, [Product::columns * stride]);
  int64_t row = static_cast<int64_t>(blockIdx.y) * Product::rows;
  int64_t column = static_cast<int64_t>(blockIdx.x) * Product::columns;
  int64_t begin = blockIdx.z * piece, end = begin + piece < a.depth ? begin + piece : a.depth;
  a.depth = b.depth = end;
  Product product;
  product.clear();
  for (int64_t k = begin; k < end; k += depth) {
    load_tile<Product::rows, depth>(left, stride, a, row, k);
    load_tile<Product::columns, depth>(right, stride, b, column, k);
    __syncthreads();
    product.multiply(left, stride, right, stride, depth);
    __syncthreads();
  }
  product.each([&](int i, int j, float value) {
    if (!partial)
      result.put(row + i, column + j, value);
    else if (row + i < result.M && column + j < result.N)
      partial[(blockIdx.z * result.M + row + i) * result.N + column + j] = value;
  });
}

__global__ void join_kernel(const float* partial, int64_t pieces, Result result) {
  int64_t size = result.M * result.N;
  for (int64_t i = first_index(); i < size; i += index_stride()) {
    float sum = 0;
    for (int64_t p = 0; p < pieces; p++) sum += partial[p * size + i];
    result.put(i / result.N, i % result.N, sum);
  }
}

template <class T, int TM, int TN>
void run(Gpu& gpu, const Operand& a, const Operand& b, const Result& result, int64_t K) {
  using Product = Tile<T, TM, TN>;
  int64_t down = ceil_div(result.M, Product::rows), across = ceil_div(result.N, Product::columns);
  // Few tiles: K is cut into pieces so that every processor has work.
  int64_t wanted = ceil_div(2 * gpu.processors(), down * across);
  int64_t pieces = std::clamp<int64_t>(std::min(wanted, K / least_depth), 1, most_splits);
  int64_t piece = ceil_div(ceil_div(std::max<int64_t>(K, 1), pieces), depth) * depth;
  pieces = ceil_div(std::max<int64_t>(K, 1), piece);
  float* partial =
      pieces > 1 ? gpu.scratch<float>(Gpu::product_slot, pieces * result.M * result.N) : nullptr;
  dim3 blocks(static_cast<unsigned>(across), static_cast<unsigned>(down),
              static_cast<unsigned>(pieces));
  GPU_LAUNCH(gpu, (gemm_kernel<T, TM, TN>), Grid{blocks, dim3(tile_threads)}, a, b, result, piece,
             partial);
  if (partial) GPU_LAUNCH(gpu, join_kernel, cover(result.M * result.N), partial, pieces, result);
}

template <class T>
void choose(Gpu& gpu, const Operand& a, const Operand& b, const Result& result, int64_t K) {
  bool large = ceil_div(result.M, 128) * ceil_div(result.N, 128) >= gpu.processors();
  if (large)
    run<T, 8, 8>(gpu, a, b, result, K);
  else
    run<T, 4, 4>(gpu, a, b, result, K);
}

// Rows of the operand are those of op(matrix), or its columns. What is computed in f32 is read so
// if it can be.
Operand operand(Precision precision, const Matrix& m, int64_t rows, int64_t depth,
                bool by_columns) {
  bool half = m.rounded && (precision == Precision::BF16 || !m.data);
  int64_t stride = half ? m.rounded_stride : m.stride;
  bool turned = m.transpose != by_columns;
  return {m.data, half ? m.rounded : nullptr, rows,
          depth,  turned ? 1 : stride,        turned ? stride : 1};
}

// By cuBLASLt's epilogue it would be the approximation by tanh.
void store_gelu(Gpu& gpu, Target c, Target to, int64_t size) {
  if (to.half)
    map_stored(gpu, Gelu{}, to.half, size, static_cast<const bf16*>(c.half));
  else
    map_stored(gpu, Gelu{}, to.data, size, static_cast<const float*>(c.data));
}

}  // namespace

void own_gemm(Gpu& gpu, Precision precision, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b,
              Target c, int64_t ldc, bool accumulate, Epilogue epilogue) {
  if (M == 0 || N == 0) return;
  Operand left = operand(precision, a, M, K, false), right = operand(precision, b, N, K, true);
  Result result{c, ldc, M, N, accumulate, epilogue};
  if (precision == Precision::F32)
    choose<float>(gpu, left, right, result, K);
  else
    choose<bf16>(gpu, left, right, result, K);
}

void gemm(Gpu& gpu, Precision precision, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b,
          Target c, int64_t ldc, bool accumulate, Epilogue epilogue) {
  if (M == 0 || N == 0) return;
  if (!gpu.blas().multiply(precision, M, N, K, a, b, c, ldc, accumulate, epilogue))
    return own_gemm(gpu, precision, M, N, K, a, b, c, ldc, accumulate, epilogue);
  if (epilogue.gelu) store_gelu(gpu, c, epilogue.gelu, M * N);
}

Matrix round_once(Gpu& gpu, Precision precision, int slot, Matrix matrix, int64_t rows,
                  int64_t columns) {
  if (precision == Precision::F32 || !gpu.blas().made()) return matrix;
  return gpu.blas().rounded(slot, matrix, rows, columns);
}

}  // namespace protea::gpu
