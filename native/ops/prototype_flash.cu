// Flash attention over prototypes with operands in bf16. A warp keeps 16 rows: their products stay
// in registers from the logits to the sum of prototypes, and a prototype is read from memory once
// for both. FlashAttention-2 (Dao 2023) made the plan; here keys are values, and their gradient is
// the same sweep with the roles exchanged.
#include "prototype_flash.h"

#include <algorithm>

#include "../cuda/rounded.cuh"
#include "../cuda/warp_rows.cuh"

namespace protea::gpu {
namespace {

constexpr int warps = tile_threads / 32, height = 16 * warps;  // rows of a block
constexpr int width = 32;                                      // columns it meets at a time
constexpr float log2_e = 1.44269504f;

// Padded copies: rows of the student, then of the teacher, each to whole blocks.
struct Operands {
  const bf16 *rows, *pulls, *student, *teacher;
};

template <int W>
constexpr int stride = W + 8;  // of a row in shared memory

// A block's own rows, and two stages of two arrays that it meets.
template <int W>
constexpr size_t shared_bytes = carved<bf16>(height* stride<W>) + carved<bf16>(4 * width *
                                                                               stride<W>);

template <int W>
GPU_DEVICE void fetch(bf16* to, const bf16* from, int rows) {
  constexpr int piece = 8;  // numbers of one copy
  for (int n = static_cast<int>(threadIdx.x); n < rows * W / piece; n += tile_threads) {
    int r = n / (W / piece), k = n % (W / piece) * piece;
    copy_async<16>(to + r * stride<W> + k, from + r * W + k, true);
  }
}

// e^x, x <= 0.
GPU_DEVICE float exponential(float x) { return x == -INFINITY ? 0 : exp2f(x * log2_e); }

// The softmax of a lane's two rows so far; its sums are those of its own columns.
struct TwoRows {
  float top[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, valued[2] = {0, 0};

  // Logits become e^(logit - top). Returns what older sums were multiplied by.
  GPU_DEVICE float2 take(WarpRows<width>& logits, const float* values, int64_t count) {
    float most[2] = {top[0], top[1]}, shrink[2];
    logits.each([&](int upper, int, float l) { most[upper] = fmaxf(most[upper], l); });
    for (int r = 0; r < 2; r++) {
      most[r] = quad_max(most[r]);
      shrink[r] = shrinkage(top[r], most[r]);
      top[r] = most[r];
      sum[r] *= shrink[r];
      valued[r] *= shrink[r];
    }
    logits.each([&](int upper, int j, float& l) {
      l = l == -INFINITY ? 0 : exponential(l - top[upper]);
      sum[upper] += l;
      if (values && j < count) valued[upper] += l * values[j];
    });
    return make_float2(shrink[0], shrink[1]);
  }
  GPU_DEVICE Running joined(int r) const { return {top[r], quad_sum(sum[r]), quad_sum(valued[r])}; }
};

// Row of the block that a lane keeps.
GPU_DEVICE int row_of_lane(int upper) { return warp_index() * 16 + lane_index() / 4 + 8 * upper; }

// Block (x, y): rows 128 x ... against part y of the prototypes.
template <int W>
__global__ void __launch_bounds__(tile_threads, 1)
    sweep_kernel(Problem problem, Operands operands, Parts parts) {
  Carver carver;
  bf16* mine = carver.take<bf16>(height * stride<W>);
  bf16* stages = carver.take<bf16>(4 * width * stride<W>);
  RowTile rows = problem.tile(blockIdx.x, height);
  const float* valued = rows.of_student ? nullptr : problem.student.bias;
  int64_t begin = blockIdx.y * parts.size;
  int64_t end = begin + parts.size < problem.K ? begin + parts.size : problem.K;
  auto keys = [&](int64_t k) { return stages + (k - begin) / width % 2 * 2 * width * stride<W>; };
  auto values = [&](int64_t k) { return keys(k) + (rows.of_student ? 0 : width * stride<W>); };
  auto fetch_prototypes = [&](int64_t k) {
    fetch<W>(values(k), operands.student + k * W, width);
    if (!rows.of_student) fetch<W>(keys(k), operands.teacher + k * W, width);
    commit_copies();
  };
  TwoRows two;
  WarpRows<W> means;
  means.clear();
  fetch<W>(mine, operands.rows + blockIdx.x * static_cast<int64_t>(height) * W, height);
  fetch_prototypes(begin);
  for (int64_t k = begin; k < end; k += width) {
    if (k + width < end) {
      fetch_prototypes(k + width);
      wait_copies<1>();
    } else {
      wait_copies<0>();
    }
    __syncthreads();
    WarpRows<width> logits;
    logits.clear();
    logits.template add_product<bf16>(mine + warp_index() * 16 * stride<W>, stride<W>, keys(k),
                                      stride<W>, W);
    logits.each(
        [&](int, int j, float& s) { s = k + j < end ? rows.logits.at(s, k + j) : -INFINITY; });
    float2 shrink = two.take(logits, valued ? valued + k : nullptr, end - k);
    means.each([&](int upper, int, float& v) { v *= upper ? shrink.y : shrink.x; });
    means.template add_product<bf16>(logits, values(k), stride<W>);
    __syncthreads();
  }
  int64_t first = blockIdx.y * problem.R + rows.first;
  means.each([&](int upper, int j, float v) {
    int64_t r = row_of_lane(upper);
    if (r < rows.count && j < problem.P) parts.means[(first + r) * problem.P + j] = v;
  });
  for (int upper = 0; upper < 2; upper++) {
    Running running = two.joined(upper);
    int64_t r = row_of_lane(upper);
    if (lane_index() % 4 == 0 && r < rows.count) parts.running[first + r] = running;
  }
}

// Some of the rows against a block's prototypes.
template <int W>
struct Slope {
  const Slopes& slopes;
  bf16 *mine, *stages;
  int64_t k;  // the first prototype
  WarpRows<W> dw;
  float dbias[2] = {0, 0};

  // All rows of the student, or of the teacher: (count) from `first` on among all rows.
  GPU_DEVICE void add(const Logits& logits, const bf16* prototypes, const bf16* rows,
                      const bf16* pulls, int64_t first, int64_t count) {
    constexpr int operand = width * stride<W>;
    auto stage = [&](int64_t n) { return stages + n / width % 2 * 2 * operand; };
    auto fetch_rows = [&](int64_t n) {
      fetch<W>(stage(n), rows + n * W, width);
      fetch<W>(stage(n) + operand, pulls + n * W, width);
      commit_copies();
    };
    if (count <= 0) return;
    fetch<W>(mine, prototypes + k * W, height);
    fetch_rows(0);
    for (int64_t n = 0; n < count; n += width) {
      if (n + width < count) {
        fetch_rows(n + width);
        wait_copies<1>();
      } else {
        wait_copies<0>();
      }
      __syncthreads();
      WarpRows<width> e;
      e.clear();
      e.template add_product<bf16>(mine + warp_index() * 16 * stride<W>, stride<W>, stage(n),
                                   stride<W>, W);
      take(e, logits, first + n, count - n);
      dw.template add_product<bf16>(e, stage(n) + operand, stride<W>);
      __syncthreads();
    }
  }

  // Products become probabilities.
  GPU_DEVICE void take(WarpRows<width>& e, const Logits& logits, int64_t first, int64_t count) {
    e.each([&](int upper, int j, float& s) {
      int64_t of = k + row_of_lane(upper);
      bool inside = j < count && of < logits.w.rows;
      s = inside ? exponential(logits.at(s, of) - slopes.lse[first + j]) : 0;
      if (inside) dbias[upper] += slopes.weight[first + j] * s;
    });
  }
};

// Block x: prototypes 128 x ... against all rows.
template <int W>
__global__ void __launch_bounds__(tile_threads, 1)
    slope_kernel(Problem problem, Operands operands, Slopes slopes) {
  Carver carver;
  bf16* mine = carver.take<bf16>(height * stride<W>);
  bf16* stages = carver.take<bf16>(4 * width * stride<W>);
  int64_t k = blockIdx.x * static_cast<int64_t>(height), S = problem.S;
  int64_t behind = (S + height - 1) / height * height * W;  // the teacher's rows
  Slope<W> slope{slopes, mine, stages, k, {}, {0, 0}};
  slope.dw.clear();
  slope.add(problem.student, operands.student, operands.rows, operands.pulls, 0, S);
  slope.add(problem.teacher, operands.teacher, operands.rows + behind, operands.pulls + behind, S,
            problem.R - S);
  if (slopes.dw)
    slope.dw.each([&](int upper, int j, float v) {
      int64_t of = k + row_of_lane(upper);
      if (of < problem.K && j < problem.P) put(slopes.dw, of * problem.P + j, v, slopes.add_dw);
    });
  for (int upper = 0; upper < 2; upper++) {
    float sum = quad_sum(slope.dbias[upper]);
    int64_t of = k + row_of_lane(upper);
    if (slopes.dbias && lane_index() % 4 == 0 && of < problem.K)
      put(slopes.dbias, of, sum, slopes.add_dbias);
  }
}

// Rounds the rows of student and teacher, and leaves out `pulls` where there are none.
Operands rounded_operands(Gpu& gpu, const Problem& problem, int64_t W, const float* pulls) {
  int64_t S = problem.S, T = problem.R - S, P = problem.P, K = whole(problem.K, height);
  int64_t of_student = whole(S, height) * W, of_teacher = whole(T, height) * W;
  int64_t all = of_student + of_teacher;
  bf16* rows = gpu.scratch<bf16>(rows_slot, pulls ? 2 * all : all);
  bf16* prototypes = gpu.scratch<bf16>(prototypes_slot, 2 * K * W);
  round_rows(gpu, problem.student.z, rows, of_student / W, W);
  round_rows(gpu, problem.teacher.z, rows + of_student, of_teacher / W, W);
  if (pulls) {
    round_rows(gpu, {pulls, S, P, P, 1}, rows + all, of_student / W, W);
    round_rows(gpu, {pulls + S * P, T, P, P, 1}, rows + all + of_student, of_teacher / W, W);
  }
  round_rows(gpu, problem.student.w, prototypes, K, W);
  round_rows(gpu, problem.teacher.w, prototypes + K * W, K, W);
  return {rows, rows + all, prototypes, prototypes + K * W};
}

template <int W>
Parts sweep_in(Gpu& gpu, const Problem& problem) {
  int64_t tiles = problem.tiles(height), most = (problem.K + width - 1) / width;
  int64_t count = std::clamp<int64_t>(gpu.processors() / tiles, 1, most);
  Parts parts = parts_of(gpu, problem, (most + count - 1) / count * width);
  dim3 blocks(static_cast<unsigned>(tiles), static_cast<unsigned>(parts.count));
  GPU_LAUNCH(gpu, sweep_kernel<W>, Grid{blocks, dim3(tile_threads), shared_bytes<W>}, problem,
             rounded_operands(gpu, problem, W, nullptr), parts);
  return parts;
}

template <int W>
void slopes_in(Gpu& gpu, const Problem& problem, const Slopes& slopes) {
  dim3 blocks(static_cast<unsigned>((problem.K + height - 1) / height));
  GPU_LAUNCH(gpu, slope_kernel<W>, Grid{blocks, dim3(tile_threads), shared_bytes<W>}, problem,
             rounded_operands(gpu, problem, W, slopes.pull), slopes);
}

}  // namespace

bool flash_fits(const Gpu& gpu, int64_t P) {
  size_t bytes = P <= 64 ? shared_bytes<64> : P <= 128 ? shared_bytes<128> : shared_bytes<256>;
  return gpu.precision() == Precision::BF16 && P <= 256 && bytes <= gpu.shared_limit();
}

Parts flash_sweep(Gpu& gpu, const Problem& problem) {
  if (problem.P <= 64) return sweep_in<64>(gpu, problem);
  return problem.P <= 128 ? sweep_in<128>(gpu, problem) : sweep_in<256>(gpu, problem);
}

void flash_slopes(Gpu& gpu, const Problem& problem, const Slopes& slopes) {
  if (problem.P <= 64) return slopes_in<64>(gpu, problem, slopes);
  problem.P <= 128 ? slopes_in<128>(gpu, problem, slopes) : slopes_in<256>(gpu, problem, slopes);
}

}  // namespace protea::gpu
