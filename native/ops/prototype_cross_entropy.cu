// Flash attention over prototypes: of every row its log-sum-exp and its mean prototype in one
// sweep; dW in a second one. Nothing of the size of the logits is kept, no sum depends on the order
// of blocks.
#include <algorithm>

#include "../cuda/map.cuh"
#include "../cuda/sums.cuh"
#include "prototype_rows.cuh"

namespace protea {
namespace {

using gpu::Logits;
using gpu::Running;
using gpu::Tile;
using gpu::tile_rows;

enum { z_student, w_student, bias_student, z_teacher, w_teacher, bias_teacher, row_weight };
enum { loss, log_sum_exps, means };

// Student rows first, then the teacher's; tiles of rows hold rows of one of them.
struct Problem {
  Logits student, teacher;
  int64_t S, R, K, P, images, views, teacher_views;
  const double* pairs;      // (views, teacher_views)
  const float* row_weight;  // (S) or null

  GPU_DEVICE int64_t student_tiles() const { return (S + tile_rows - 1) / tile_rows; }
  GPU_DEVICE bool is_student(int64_t tile) const { return tile < student_tiles(); }
  GPU_DEVICE const Logits& logits(bool of_student) const { return of_student ? student : teacher; }
  // The first row of a tile among its own, and among all.
  GPU_DEVICE int64_t own_row(int64_t tile) const {
    return (is_student(tile) ? tile : tile - student_tiles()) * tile_rows;
  }
  GPU_DEVICE double weight(int64_t s, int64_t u) const {
    double pair = pairs[s / images * teacher_views + u];
    return row_weight ? pair * row_weight[s] : pair;
  }
  int64_t tiles() const {
    return (S + tile_rows - 1) / tile_rows + (R - S + tile_rows - 1) / tile_rows;
  }
};

Logits logits_of(const Run& run, int first, const char* temperature) {
  const Array &z = run.in[first], &w = run.in[first + 1], &bias = run.in[first + 2];
  return Logits(z.as<float>(), z.dim(0), w.as<float>(), w.dim(0), z.dim(1),
                bias ? bias.as<float>() : nullptr, run.attrs.number(temperature));
}

constexpr int pairs_slot = 0, means_slot = 1, running_slot = 2, bias_slot = 3, pull_slot = 4,
              weight_slot = 5;

Problem problem_of(const Run& run) {
  Problem problem{logits_of(run, z_student, "student_temperature"),
                  logits_of(run, z_teacher, "teacher_temperature"),
                  run.in[z_student].dim(0),
                  run.in[z_student].dim(0) + run.in[z_teacher].dim(0),
                  run.in[w_student].dim(0),
                  run.in[z_student].dim(1),
                  0,
                  run.attrs.integer("views"),
                  run.attrs.integer("teacher_views"),
                  Gpu::of(run).constants(pairs_slot, run.attrs.list("pairs")),
                  run.in[row_weight] ? run.in[row_weight].as<float>() : nullptr};
  problem.images = problem.S / problem.views;
  return problem;
}

// Shared memory of the two sweeps, for W columns of the mean prototypes at a time.
template <class T, int W>
struct Layout {
  static constexpr int stride = gpu::tile_stride<T>(tile_rows);
  static constexpr int square = tile_rows * stride, turned = W * stride;
  static constexpr int scores = tile_rows * gpu::score_stride;
  static size_t bytes() {
    return 2 * gpu::carved<T>(gpu::operand_size<T>()) + gpu::carved<float>(scores) +
           gpu::carved<T>(square) + gpu::carved<T>(turned);
  }
};

// Block (x, y, z): tile x of the rows, part y of the prototypes, columns W z ... of the means.
template <class T, int W>
__global__ void __launch_bounds__(gpu::tile_threads)
    forward_kernel(Problem problem, int64_t part, Running* partial, float* partial_means) {
  using L = Layout<T, W>;
  gpu::Carver carver;
  T* left = carver.take<T>(gpu::operand_size<T>());
  T* right = carver.take<T>(gpu::operand_size<T>());
  float* scores = carver.take<float>(L::scores);
  T* p = carver.take<T>(L::square);
  T* turned = carver.take<T>(L::turned);
  GPU_SHARED(Running, running, [tile_rows]);
  GPU_SHARED(float, shrink, [tile_rows]);
  bool of_student = problem.is_student(blockIdx.x);
  const Logits& logits = problem.logits(of_student);
  int64_t row = problem.own_row(blockIdx.x), column = static_cast<int64_t>(blockIdx.z) * W;
  int64_t begin = blockIdx.y * part;
  int64_t end = begin + part < problem.K ? begin + part : problem.K;
  gpu::View prototypes = {problem.student.w.data, problem.P, problem.K, 1, problem.P};
  const float* valued = of_student ? nullptr : problem.student.bias;
  if (threadIdx.x < tile_rows) running[threadIdx.x] = gpu::empty_running();
  Tile<T, 4, W / 16> means;
  means.clear();
  for (int64_t k = begin; k < end; k += tile_rows) {
    Tile<T, 4, 4> product;
    gpu::multiply_rows(product, logits.z, row, logits.w, k, left, right);
    product.each([&](int i, int j, float s) {
      scores[i * gpu::score_stride + j] = k + j < end ? logits.at(s, k + j) : 0;
    });
    gpu::load_tile<W, tile_rows>(turned, L::stride, prototypes, column, k);
    __syncthreads();
    for (int r = gpu::warp_index(); r < tile_rows; r += gpu::tile_threads / 32) {
      float factor = gpu::take_row(scores + r * gpu::score_stride, end - k,
                                   valued ? valued + k : nullptr, running[r], p + r * L::stride);
      if (gpu::lane_index() == 0) shrink[r] = factor;
    }
    __syncthreads();
    means.each([&](int i, int, float& value) { value *= shrink[i]; });
    means.multiply(p, L::stride, turned, L::stride, tile_rows);
    // Before p and turned are written again, multiply_rows waits for all.
  }
  int64_t first = (of_student ? 0 : problem.S) + row, rows = logits.z.rows - row;
  means.each([&](int i, int j, float value) {
    if (i < rows && column + j < problem.P)
      partial_means[(blockIdx.y * problem.R + first + i) * problem.P + column + j] = value;
  });
  if (blockIdx.z == 0 && threadIdx.x < tile_rows && threadIdx.x < rows)
    partial[blockIdx.y * problem.R + first + threadIdx.x] = running[threadIdx.x];
}

// A block a row: its log-sum-exp, its mean prototype, and Σ_k q_k bias_k.
__global__ void join_kernel(const Running* partial, const float* partial_means, int64_t parts,
                            int64_t R, int64_t P, float* lse, float* mean, float* bias) {
  int64_t r = blockIdx.x;
  float top = -INFINITY, sum = 0, valued = 0;
  for (int64_t part = 0; part < parts; part++) top = fmaxf(top, partial[part * R + r].top);
  for (int64_t part = 0; part < parts; part++) {
    const Running& of = partial[part * R + r];
    float share = gpu::shrinkage(of.top, top);
    sum += of.sum * share;
    valued += of.valued * share;
  }
  for (int64_t p = threadIdx.x; p < P; p += blockDim.x) {
    float total = 0;
    for (int64_t part = 0; part < parts; part++)
      total +=
          partial_means[(part * R + r) * P + p] * gpu::shrinkage(partial[part * R + r].top, top);
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
void sweep(const Run& run, const Problem& problem) {
  Gpu& gpu = Gpu::of(run);
  int64_t part = gpu::part_size(gpu, problem.tiles() * tile_rows, problem.K);
  int64_t parts = (problem.K + part - 1) / part;
  Running* partial = gpu.scratch<Running>(running_slot, parts * problem.R);
  float* partial_means = gpu.scratch<float>(means_slot, parts * problem.R * problem.P);
  dim3 blocks(static_cast<unsigned>(problem.tiles()), static_cast<unsigned>(parts),
              static_cast<unsigned>((problem.P + W - 1) / W));
  GPU_LAUNCH(gpu, (forward_kernel<T, W>),
             gpu::Grid{blocks, dim3(gpu::tile_threads), Layout<T, W>::bytes()}, problem, part,
             partial, partial_means);
  GPU_LAUNCH(gpu, join_kernel, gpu::Grid{dim3(static_cast<unsigned>(problem.R)), dim3(128)},
             partial, partial_means, parts, problem.R, problem.P, run.out[log_sum_exps].as<float>(),
             run.out[means].as<float>(), gpu.scratch<float>(bias_slot, problem.R));
}

// Calls body.template operator()<T, W>() with the precision and the width of a sweep.
template <class Body>
void with_width(const Run& run, int64_t P, const Body& body) {
  bool exact = Gpu::of(run).precision() == Precision::F32;
  if (P <= 64)
    return exact ? body.template operator()<float, 64>()
                 : body.template operator()<gpu::bf16, 64>();
  exact ? body.template operator()<float, 128>() : body.template operator()<gpu::bf16, 128>();
}

void forward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  Problem problem = problem_of(run);
  if (problem.R > 0)
    with_width(run, problem.P, [&]<class T, int W>() { sweep<T, W>(run, problem); });
  LossTerm term{problem, run.out[log_sum_exps].as<float>(), run.out[means].as<float>(),
                gpu.scratch<float>(bias_slot, problem.R)};
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

struct Slopes {
  const float *lse, *pull, *weight;  // (R), (R, P), (R)
  float *dw, *dbias;                 // null: not wanted
  bool add_dw, add_dbias;
};

// Block (x, y): 64 prototypes against all rows, columns W y ... of dW.
template <class T, int W>
__global__ void __launch_bounds__(gpu::tile_threads)
    backward_kernel(Problem problem, Slopes slopes, int64_t tiles) {
  using L = Layout<T, W>;
  gpu::Carver carver;
  T* left = carver.take<T>(gpu::operand_size<T>());
  T* right = carver.take<T>(gpu::operand_size<T>());
  float* scores = carver.take<float>(L::scores);
  T* p = carver.take<T>(L::square);
  T* turned = carver.take<T>(L::turned);
  GPU_SHARED(float, dbias, [tile_rows]);
  int64_t k = static_cast<int64_t>(blockIdx.x) * tile_rows;
  int64_t column = static_cast<int64_t>(blockIdx.y) * W;
  if (threadIdx.x < tile_rows) dbias[threadIdx.x] = 0;
  Tile<T, 4, W / 16> dw;
  dw.clear();
  for (int64_t tile = 0; tile < tiles; tile++) {
    bool of_student = problem.is_student(tile);
    const Logits& logits = problem.logits(of_student);
    int64_t row = problem.own_row(tile), first = (of_student ? 0 : problem.S) + row;
    int64_t rows = logits.z.rows - row;
    gpu::View pulls = {slopes.pull + first * problem.P, problem.P, rows, 1, problem.P};
    Tile<T, 4, 4> product;
    gpu::multiply_rows(product, logits.w, k, logits.z, row, left, right);
    product.each([&](int i, int j, float s) {
      bool inside = k + i < problem.K && j < rows;
      float e = inside ? expf(logits.at(s, k + i) - slopes.lse[first + j]) : 0;
      p[i * L::stride + j] = gpu::rounded<T>(e);
      scores[i * gpu::score_stride + j] = e;
    });
    gpu::load_tile<W, tile_rows>(turned, L::stride, pulls, column, 0);
    __syncthreads();
    dw.multiply(p, L::stride, turned, L::stride, tile_rows);
    if (slopes.dbias && threadIdx.x < tile_rows) {
      float sum = dbias[threadIdx.x];
      for (int j = 0; j < tile_rows && j < rows; j++)
        sum += slopes.weight[first + j] * scores[threadIdx.x * gpu::score_stride + j];
      dbias[threadIdx.x] = sum;
    }
    // Before p, scores and turned are written again, multiply_rows waits for all.
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
  float* pull = gpu.scratch<float>(pull_slot, problem.R * problem.P);
  float* weight = gpu.scratch<float>(weight_slot, problem.R);
  gpu::store(gpu, Pull{problem, dloss, problem.P}, pull, problem.R * problem.P);
  gpu::store(gpu, Pull{problem, dloss, 0}, weight, problem.R);
  Slopes slopes{run.out[log_sum_exps].as<float>(),
                pull,
                weight,
                dw ? dw.as<float>() : nullptr,
                dbias ? dbias.as<float>() : nullptr,
                dw.accumulate,
                dbias.accumulate};
  with_width(run, problem.P, [&]<class T, int W>() {
    dim3 blocks(static_cast<unsigned>((problem.K + tile_rows - 1) / tile_rows),
                static_cast<unsigned>((problem.P + W - 1) / W));
    GPU_LAUNCH(gpu, (backward_kernel<T, W>),
               gpu::Grid{blocks, dim3(gpu::tile_threads), Layout<T, W>::bytes()}, problem, slopes,
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
