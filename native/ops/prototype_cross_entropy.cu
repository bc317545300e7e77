// Flash attention over prototypes: of every row its log-sum-exp and its mean prototype in one
// sweep; dW in a second one. Nothing of the size of the logits is kept, no sum depends on the order
// of blocks.
#include <algorithm>

#include "../cuda/map.cuh"
#include "../cuda/sums.cuh"
#include "prototype_flash.h"

namespace protea {
namespace {

using gpu::Parts;
using gpu::Problem;
using gpu::problem_of;
using gpu::RowTile;
using gpu::Running;
using gpu::Slopes;
using gpu::Sweep;
using gpu::Tile;
using gpu::tile_rows;

// Block (x, y, z): tile x of the rows, part y of the prototypes, columns W z ... of the means.
template <class T, int W>
__global__ void __launch_bounds__(gpu::tile_threads) forward_kernel(Problem problem, Parts parts) {
  Sweep<T, W> sweep;
  GPU_SHARED(Running, running, [tile_rows]);
  GPU_SHARED(float, shrink, [tile_rows]);
  RowTile rows = problem.tile(blockIdx.x);
  int64_t column = static_cast<int64_t>(blockIdx.z) * W, begin = blockIdx.y * parts.size;
  int64_t end = begin + parts.size < problem.K ? begin + parts.size : problem.K;
  gpu::View prototypes = {problem.student.w.data, problem.P, problem.K, 1, problem.P};
  const float* valued = rows.of_student ? nullptr : problem.student.bias;
  if (threadIdx.x < tile_rows) running[threadIdx.x] = gpu::empty_running();
  Tile<T, 4, W / 16> means;
  means.clear();
  for (int64_t k = begin; k < end; k += tile_rows) {
    Tile<T, 4, 4> product;
    gpu::multiply_rows(product, rows.logits.z, rows.row, rows.logits.w, k, sweep.left, sweep.right);
    product.each([&](int i, int j, float s) {
      sweep.scores[i * gpu::score_stride + j] = k + j < end ? rows.logits.at(s, k + j) : 0;
    });
    gpu::load_tile<W, tile_rows>(sweep.turned, sweep.stride, prototypes, column, k);
    __syncthreads();
    for (int r = gpu::warp_index(); r < tile_rows; r += gpu::tile_threads / 32) {
      float factor =
          gpu::take_row(sweep.scores + r * gpu::score_stride, end - k,
                        valued ? valued + k : nullptr, running[r], sweep.p + r * sweep.stride);
      if (gpu::lane_index() == 0) shrink[r] = factor;
    }
    __syncthreads();
    means.each([&](int i, int, float& value) { value *= shrink[i]; });
    sweep.add_product(means);
  }
  int64_t first = blockIdx.y * problem.R + rows.first;
  means.each([&](int i, int j, float value) {
    if (i < rows.count && column + j < problem.P)
      parts.means[(first + i) * problem.P + column + j] = value;
  });
  if (blockIdx.z == 0 && threadIdx.x < tile_rows && threadIdx.x < rows.count)
    parts.running[first + threadIdx.x] = running[threadIdx.x];
}

// A block a row: its log-sum-exp, its mean prototype, and Σ_k q_k bias_k.
__global__ void join_kernel(Parts parts, int64_t R, int64_t P, float* lse, float* mean,
                            float* bias) {
  int64_t r = blockIdx.x;
  float top = -INFINITY, sum = 0, valued = 0;
  for (int64_t part = 0; part < parts.count; part++)
    top = fmaxf(top, parts.running[part * R + r].top);
  for (int64_t part = 0; part < parts.count; part++) {
    const Running& of = parts.running[part * R + r];
    float share = gpu::shrinkage(of.top, top);
    sum += of.sum * share;
    valued += of.valued * share;
  }
  for (int64_t p = threadIdx.x; p < P; p += blockDim.x) {
    float total = 0;
    for (int64_t part = 0; part < parts.count; part++)
      total += parts.means[(part * R + r) * P + p] *
               gpu::shrinkage(parts.running[part * R + r].top, top);
    mean[r * P + p] = total / sum;
  }
  if (threadIdx.x > 0) return;
  lse[r] = top + logf(sum);
  bias[r] = valued / sum;
}

// Element (s, p) of the loss: Σ_u weight (lse_s - z_s · m_t / temperature - bias_t), with all but
// the product counted at p = 0.
struct LossTerm {
  Problem problem;
  const float *lse, *mean, *bias;
  GPU_DEVICE double operator()(int64_t i) const {
    int64_t s = i / problem.P, p = i % problem.P, b = s % problem.images;
    double sum = 0;
    for (int64_t u = 0; u < problem.teacher_views; u++) {
      double weight = problem.weight(s, u);
      if (weight == 0) continue;
      int64_t t = problem.S + u * problem.images + b;
      double product = static_cast<double>(problem.student.z.data[i]) * mean[t * problem.P + p];
      double term = -product * problem.student.scale;
      if (p == 0) term += static_cast<double>(lse[s]) - bias[t];
      sum += weight * term;
    }
    return sum;
  }
};

template <class T, int W>
Parts sweep_tiles(Gpu& gpu, const Problem& problem) {
  Parts parts =
      gpu::parts_of(gpu, problem, gpu::part_size(gpu, problem.tiles() * tile_rows, problem.K));
  dim3 blocks(static_cast<unsigned>(problem.tiles()), static_cast<unsigned>(parts.count),
              static_cast<unsigned>(ceil_div(problem.P, W)));
  GPU_LAUNCH(gpu, (forward_kernel<T, W>),
             gpu::Grid{blocks, dim3(gpu::tile_threads), Sweep<T, W>::bytes}, problem, parts);
  return parts;
}

Parts sweep(const Run& run, const Problem& problem) {
  Gpu& gpu = Gpu::of(run);
  if (gpu::flash_fits(gpu, problem.P)) return gpu::flash_sweep(gpu, problem);
  Parts parts{};
  gpu::with_width(run, problem.P,
                  [&]<class T, int W>() { parts = sweep_tiles<T, W>(gpu, problem); });
  return parts;
}

void forward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  Problem problem = problem_of(run);
  float *lse = run.out[log_sum_exps].as<float>(), *mean = run.out[means].as<float>();
  float* bias = gpu.scratch<float>(gpu::bias_slot, problem.R);
  if (problem.R > 0)
    GPU_LAUNCH(gpu, join_kernel, gpu::Grid{dim3(static_cast<unsigned>(problem.R)), dim3(128)},
               sweep(run, problem), problem.R, problem.P, lse, mean, bias);
  LossTerm term{problem, lse, mean, bias};
  gpu::total(gpu, term, problem.S * problem.P, gpu::StoreTotal{run.out[loss].as<float>()});
}

// dz_s = Σ_u weight (mean_s - mean_t) / temperature
struct ZSlope {
  Problem problem;
  const float *mean, *dloss;
  GPU_DEVICE float operator()(int64_t i) const {
    int64_t s = i / problem.P, p = i % problem.P, b = s % problem.images;
    float sum = 0;
    for (int64_t u = 0; u < problem.teacher_views; u++) {
      int64_t t = problem.S + u * problem.images + b;
      auto scale = static_cast<float>(*dloss * problem.weight(s, u) * problem.student.scale);
      sum += scale * (mean[i] - mean[t * problem.P + p]);
    }
    return sum;
  }
};

// What every row's probabilities count in dbias (R), and with z in dW (R, P): with P = 0 the first.
struct Pull {
  Problem problem;
  const float* dloss;
  int64_t P;
  GPU_DEVICE double of(int64_t s, int64_t u, int64_t p) const {
    double weight = *dloss * problem.weight(s, u);
    return P ? weight * problem.student.scale * problem.student.z.data[s * P + p] : weight;
  }
  GPU_DEVICE float operator()(int64_t i) const {
    int64_t r = P ? i / P : i, p = P ? i % P : 0;
    double sum = 0;
    if (r < problem.S) {
      for (int64_t u = 0; u < problem.teacher_views; u++) sum += of(r, u, p);
    } else {
      int64_t u = (r - problem.S) / problem.images, b = (r - problem.S) % problem.images;
      for (int64_t v = 0; v < problem.views; v++) sum -= of(v * problem.images + b, u, p);
    }
    return static_cast<float>(sum);
  }
};

// Block (x, y): 64 prototypes against all rows, columns W y ... of dW.
template <class T, int W>
__global__ void __launch_bounds__(gpu::tile_threads)
    backward_kernel(Problem problem, Slopes slopes, int64_t tiles) {
  Sweep<T, W> sweep;
  GPU_SHARED(float, dbias, [tile_rows]);
  int64_t k = static_cast<int64_t>(blockIdx.x) * tile_rows;
  int64_t column = static_cast<int64_t>(blockIdx.y) * W;
  if (threadIdx.x < tile_rows) dbias[threadIdx.x] = 0;
  Tile<T, 4, W / 16> dw;
  dw.clear();
  for (int64_t n = 0; n < tiles; n++) {
    RowTile rows = problem.tile(n);
    const float *lse = slopes.lse + rows.first, *weight = slopes.weight + rows.first;
    gpu::View pulls = {slopes.pull + rows.first * problem.P, problem.P, rows.count, 1, problem.P};
    Tile<T, 4, 4> product;
    gpu::multiply_rows(product, rows.logits.w, k, rows.logits.z, rows.row, sweep.left, sweep.right);
    product.each([&](int i, int j, float s) {
      bool inside = k + i < problem.K && j < rows.count;
      float e = inside ? expf(rows.logits.at(s, k + i) - lse[j]) : 0;
      sweep.p[i * sweep.stride + j] = gpu::rounded<T>(e);
      sweep.scores[i * gpu::score_stride + j] = e;
    });
    gpu::load_tile<W, tile_rows>(sweep.turned, sweep.stride, pulls, column, 0);
    __syncthreads();
    sweep.add_product(dw);
    if (slopes.dbias && threadIdx.x < tile_rows) {
      float sum = dbias[threadIdx.x];
      for (int j = 0; j < tile_rows && j < rows.count; j++)
        sum += weight[j] * sweep.scores[threadIdx.x * gpu::score_stride + j];
      dbias[threadIdx.x] = sum;
    }
  }
  if (slopes.dw)
    dw.each([&](int i, int j, float value) {
      if (k + i < problem.K && column + j < problem.P)
        gpu::put(slopes.dw, (k + i) * problem.P + column + j, value, slopes.add_dw);
    });
  if (slopes.dbias && blockIdx.y == 0 && threadIdx.x < tile_rows && k + threadIdx.x < problem.K)
    gpu::put(slopes.dbias, k + threadIdx.x, dbias[threadIdx.x], slopes.add_dbias);
}

void back_prototypes(const Run& run, const Problem& problem, const float* dloss) {
  Gpu& gpu = Gpu::of(run);
  const Gradient &dw = run.din[w_student], &dbias = run.din[bias_student];
  float* pull = gpu.scratch<float>(gpu::pull_slot, problem.R * problem.P);
  float* weight = gpu.scratch<float>(gpu::weight_slot, problem.R);
  gpu::store(gpu, Pull{problem, dloss, problem.P}, pull, problem.R * problem.P);
  gpu::store(gpu, Pull{problem, dloss, 0}, weight, problem.R);
  Slopes slopes{run.out[log_sum_exps].as<float>(),
                pull,
                weight,
                dw.as<float>(),
                dbias.as<float>(),
                dw.accumulate,
                dbias.accumulate};
  if (gpu::flash_fits(gpu, problem.P)) return gpu::flash_slopes(gpu, problem, slopes);
  gpu::with_width(run, problem.P, [&]<class T, int W>() {
    dim3 blocks(static_cast<unsigned>(ceil_div(problem.K, tile_rows)),
                static_cast<unsigned>(ceil_div(problem.P, W)));
    GPU_LAUNCH(gpu, (backward_kernel<T, W>),
               gpu::Grid{blocks, dim3(gpu::tile_threads), Sweep<T, W>::bytes}, problem, slopes,
               problem.tiles());
  });
}

void backward(const Run& run) {
  Problem problem = problem_of(run);
  const float* dloss = run.dout[0].as<float>();
  gpu::store(Gpu::of(run), ZSlope{problem, run.out[means].as<float>(), dloss}, run.din[z_student]);
  if (run.din[w_student] || run.din[bias_student]) back_prototypes(run, problem, dloss);
}

}  // namespace

extern const Kernel prototype_cross_entropy_cuda = {forward, backward};

}  // namespace protea
