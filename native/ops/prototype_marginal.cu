#include "../cuda/map.cuh"
#include "log_sums.h"

namespace protea {
namespace {

using gpu::Logits;
using gpu::Tile;
using gpu::tile_rows;

Logits logits_of(const Run& run) {
  return Logits(run.in[0], run.in[1], run.in[2], run.attrs.number("temperature"));
}

bool log_of(const Run& run) { return run.attrs.integer("log", 0) != 0; }

struct Negated {
  const float* x;
  GPU_DEVICE float operator()(int64_t i) const { return -x[i]; }
};

// From log Σ_r e^(l - lse_r), the prototype's own bias left out.
struct Marginal {
  const float *log_sum, *bias;
  float shift;
  bool log;
  GPU_DEVICE float operator()(int64_t k) const {
    float value = log_sum[k] + shift + (bias ? bias[k] : 0);
    return log ? value : expf(value);
  }
};

void forward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  Logits logits = logits_of(run);
  int64_t R = logits.z.rows, K = logits.w.rows;
  float *lse = run.out[1].as<float>(), *row_bias = gpu.scratch<float>(0, R);
  float* sums = gpu.scratch<float>(1, K);
  gpu::LogSums log_sums(gpu, logits, 2);
  log_sums.over_prototypes(logits.bias, 1, lse);
  gpu::store(gpu, Negated{lse}, row_bias, R);
  log_sums.over_rows(row_bias, 1, sums);
  Marginal marginal{sums, logits.bias, -std::log(static_cast<float>(R)), log_of(run)};
  gpu::store(gpu, marginal, run.out[0].as<float>(), K);
}

// The gradient with respect to the mean probabilities, over R.
struct Upstream {
  const float *dm, *m;
  float share;
  bool log;
  GPU_DEVICE float operator()(int64_t k) const { return dm[k] * share * (log ? expf(-m[k]) : 1); }
};

// dl_rk = p_rk (g_k - s_r)
struct LogitSlope {
  Logits logits;
  const float *lse, *g, *s;
  GPU_DEVICE float at(int64_t r, int64_t k, float product) const {
    if (r >= logits.z.rows || k >= logits.w.rows) return 0;
    return expf(logits.at(product, k) - lse[r]) * (g[k] - s[r]);
  }
};

constexpr int width = 128;  // columns of a sweep
constexpr int square_stride = gpu::tile_stride<float>(tile_rows);

// Block (x, y, z): 64 rows against part z of the prototypes, dz = scale Σ_k dl w; or 64 prototypes
// against all rows, dw = scale Σ_r dl z and dbias = Σ_r dl. Columns 128 y ... of the result; one
// result for each part.
template <bool of_prototypes>
__global__ void __launch_bounds__(gpu::tile_threads)
    backward_kernel(LogitSlope slope, int64_t part, float* to, bool accumulate, float* dbias,
                    bool add_dbias) {
  gpu::Carver carver;
  float* left = carver.take<float>(gpu::operand_size<float>());
  float* right = carver.take<float>(gpu::operand_size<float>());
  float* dl = carver.take<float>(tile_rows * square_stride);
  float* turned = carver.take<float>(width * square_stride);
  const gpu::View& own = of_prototypes ? slope.logits.w : slope.logits.z;
  const gpu::View& other = of_prototypes ? slope.logits.z : slope.logits.w;
  gpu::View values = {other.data, other.depth, other.rows, 1, other.depth};
  int64_t first = static_cast<int64_t>(blockIdx.x) * tile_rows;
  int64_t column = static_cast<int64_t>(blockIdx.y) * width;
  Tile<float, 4, width / 16> sum;
  sum.clear();
  float total = 0;
  int64_t begin = blockIdx.z * part, end = begin + part < other.rows ? begin + part : other.rows;
  for (; begin < end; begin += tile_rows) {
    Tile<float, 4, 4> product;
    gpu::multiply_rows(product, own, first, other, begin, left, right);
    product.each([&](int i, int j, float s) {
      int64_t r = of_prototypes ? begin + j : first + i, k = of_prototypes ? first + i : begin + j;
      dl[i * square_stride + j] = slope.at(r, k, s);
    });
    gpu::load_tile<width, tile_rows>(turned, square_stride, values, column, begin);
    __syncthreads();
    sum.multiply(dl, square_stride, turned, square_stride, tile_rows);
    if (dbias && threadIdx.x < tile_rows)
      for (int j = 0; j < tile_rows; j++) total += dl[threadIdx.x * square_stride + j];
    // Before dl and turned are written again, multiply_rows waits for all.
  }
  if (to)
    sum.each([&](int i, int j, float value) {
      if (first + i < own.rows && column + j < own.depth)
        gpu::put(to, (blockIdx.z * own.rows + first + i) * own.depth + column + j,
                 slope.logits.scale * value, accumulate);
    });
  int64_t k = first + threadIdx.x;
  if (dbias && blockIdx.y == 0 && threadIdx.x < tile_rows && k < own.rows)
    gpu::put(dbias, k, total, add_dbias);
}

gpu::Grid grid_of(const gpu::View& own, int64_t parts = 1) {
  size_t shared = 2 * gpu::carved<float>(gpu::operand_size<float>()) +
                  gpu::carved<float>(tile_rows * square_stride) +
                  gpu::carved<float>(width * square_stride);
  dim3 blocks(static_cast<unsigned>(ceil_div(own.rows, tile_rows)),
              static_cast<unsigned>(ceil_div(own.depth, width)), static_cast<unsigned>(parts));
  return {blocks, dim3(gpu::tile_threads), shared};
}

// The sum of what the parts came to.
struct OfParts {
  const float* partial;
  int64_t parts, size;
  GPU_DEVICE float operator()(int64_t i) const {
    float sum = 0;
    for (int64_t part = 0; part < parts; part++) sum += partial[part * size + i];
    return sum;
  }
};

void back_to_rows(Gpu& gpu, const LogitSlope& slope, const Gradient& dz) {
  int64_t R = slope.logits.z.rows, K = slope.logits.w.rows, size = dz.array.size();
  int64_t part = gpu::part_size(gpu, R, K), parts = ceil_div(K, part);
  float *partial = gpu.scratch<float>(2, parts * size), *none = nullptr;
  GPU_LAUNCH(gpu, backward_kernel<false>, grid_of(slope.logits.z, parts), slope, part, partial,
             false, none, false);
  gpu::store(gpu, OfParts{partial, parts, size}, dz);
}

void backward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  Logits logits = logits_of(run);
  const Gradient &dz = run.din[0], &dw = run.din[1], &dbias = run.din[2];
  int64_t R = logits.z.rows, K = logits.w.rows;
  float *g = gpu.scratch<float>(0, K), *s = gpu.scratch<float>(1, R);
  Upstream upstream{run.dout[0].as<float>(), run.out[0].as<float>(), 1 / static_cast<float>(R),
                    log_of(run)};
  gpu::store(gpu, upstream, g, K);
  gpu::LogSums(gpu, logits, 1).row_means(g, s);
  LogitSlope slope{logits, run.out[1].as<float>(), g, s};
  float* none = nullptr;
  if (dz && R > 0 && K > 0) back_to_rows(gpu, slope, dz);
  if (dw || dbias)
    GPU_LAUNCH(gpu, backward_kernel<true>, grid_of(logits.w), slope, R, dw ? dw.as<float>() : none,
               dw.accumulate, dbias ? dbias.as<float>() : none, dbias.accumulate);
}

}  // namespace

extern const Kernel prototype_marginal_cuda = {forward, backward};

}  // namespace protea
