// Both sweeps of the prototype cross-entropy in bf16. Products stay in registers from the logits to
// the sum of the student's prototypes; for rows of the student these are keys and values at once
// and are fetched once. The gradient of the prototypes is the same sweep with the roles exchanged.
#include "prototype_flash.h"

#include <algorithm>

#include "flash.cuh"

namespace protea::gpu {
namespace {

// Rounded and padded: rows of the student, then of the teacher, and what they pull with.
struct Operands {
  const bf16 *rows, *pulls, *student, *teacher;
};

// Block (x, y): rows 128 x ... against part y of the prototypes.
template <int W>
__global__ void __launch_bounds__(tile_threads, 1)
    sweep_kernel(Problem problem, Operands operands, Parts parts) {
  Flash<W> flash(2);
  RowTile rows = problem.tile(blockIdx.x, flash_rows);
  const float* valued = rows.of_student ? nullptr : problem.student.bias;
  int64_t begin = blockIdx.y * parts.size;
  int64_t end = begin + parts.size < problem.K ? begin + parts.size : problem.K;
  auto values = [&](int stage) { return flash.step(2 * stage); };
  auto keys = [&](int stage) { return flash.step(2 * stage + !rows.of_student); };
  auto fetch = [&](int64_t k, int stage) {
    flash.fetch_step(values(stage), operands.student + k * W);
    if (!rows.of_student) flash.fetch_step(keys(stage), operands.teacher + k * W);
  };
  TwoRows two;
  WarpRows<W> means;
  means.clear();
  flash.fetch_own(operands.rows + blockIdx.x * static_cast<int64_t>(flash_rows) * W);
  in_stages(begin, end, flash_columns, fetch, [&](int64_t k, int stage) {
    Columns<flash_columns> bias(rows.logits.bias ? rows.logits.bias + k : nullptr, end - k,
                                -INFINITY);
    WarpRows<flash_columns> logits = flash.products(keys(stage));
    logits.each([&](int, int j, float& s) { s = rows.logits.scale * s + bias.of(j); });
    float2 shrink =
        two.take(logits, Columns<flash_columns>(valued ? valued + k : nullptr, end - k, 0));
    // After the first columns hardly any maximum grows.
    if (__ballot_sync(all_lanes, shrink.x != 1 || shrink.y != 1))
      means.each([&](int upper, int, float& v) { v *= upper ? shrink.y : shrink.x; });
    means.template add_product<bf16>(logits, values(stage), flash.stride);
  });
  int64_t first = blockIdx.y * problem.R + rows.first;
  means.each([&](int upper, int j, float v) {
    int64_t r = row_of_lane(upper);
    if (r < rows.count && j < problem.P) parts.means[(first + r) * problem.P + j] = v;
  });
  two.leave(parts.running + first, rows.count);
}

// What a block of prototypes, from k on, adds up.
template <int W>
struct Slope {
  const Slopes& slopes;
  Flash<W> flash;
  int64_t k;
  WarpRows<W> dw;
  float dbias[2];

  // All rows of the student, or of the teacher: `count` from `first` on among all rows.
  GPU_DEVICE void add(const Logits& logits, const bf16* prototypes, const bf16* rows,
                      const bf16* pulls, int64_t first, int64_t count) {
    auto fetch = [&](int64_t n, int stage) {
      flash.fetch_step(flash.step(2 * stage), rows + n * W);
      flash.fetch_step(flash.step(2 * stage + 1), pulls + n * W);
    };
    if (count > 0) flash.fetch_own(prototypes + k * W);
    in_stages(0, count, flash_columns, fetch, [&](int64_t n, int stage) {
      WarpRows<flash_columns> e = flash.products(flash.step(2 * stage));
      soften(e, logits, first + n, count - n);
      dw.template add_product<bf16>(e, flash.step(2 * stage + 1), flash.stride);
    });
  }

  // Products become probabilities: 0 of what is no row. Those of what is no prototype are never
  // used.
  GPU_DEVICE void soften(WarpRows<flash_columns>& e, const Logits& logits, int64_t first,
                         int64_t count) {
    Columns<flash_columns> lse(slopes.lse + first, count, INFINITY);
    Columns<flash_columns> weight(slopes.weight + first, count, 0);
    float bias[2];
    for (int upper = 0; upper < 2; upper++) {
      int64_t of = k + row_of_lane(upper), last = logits.w.rows - 1;
      bias[upper] = logits.bias ? logits.bias[of < last ? of : last] : 0;
    }
    e.each([&](int upper, int j, float& s) {
      s = exponential(logits.scale * s + bias[upper] - lse.of(j));
      dbias[upper] += weight.of(j) * s;
    });
  }
};

// Block x: prototypes 128 x ... against all rows.
template <int W>
__global__ void __launch_bounds__(tile_threads, 1)
    slope_kernel(Problem problem, Operands operands, Slopes slopes) {
  int64_t k = blockIdx.x * static_cast<int64_t>(flash_rows), S = problem.S;
  int64_t behind = ceil_div(S, flash_rows) * flash_rows * W;  // the teacher's rows
  Slope<W> slope{slopes, Flash<W>(2), k, {}, {0, 0}};
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

// `pulls` is left out where it is null.
Operands rounded_operands(Gpu& gpu, const Problem& problem, const float* pulls) {
  int64_t S = problem.S, T = problem.R - S, P = problem.P;
  int64_t of_student = flash_size(problem.student.z), of_teacher = flash_size(problem.teacher.z);
  int64_t all = of_student + of_teacher, of_prototypes = flash_size(problem.student.w);
  bf16* rows = gpu.scratch<bf16>(rows_slot, pulls ? 2 * all : all);
  auto prototypes = [&](const Logits& logits, int64_t behind) {
    const bf16* ready = ready_for_flash(logits);
    if (ready) return ready;
    bf16* to = gpu.scratch<bf16>(prototypes_slot, 2 * of_prototypes) + behind;
    round_for_flash(gpu, logits.w, to);
    return static_cast<const bf16*>(to);
  };
  round_for_flash(gpu, problem.student.z, rows);
  round_for_flash(gpu, problem.teacher.z, rows + of_student);
  if (pulls) {
    round_for_flash(gpu, {pulls, S, P, P, 1}, rows + all);
    round_for_flash(gpu, {pulls + S * P, T, P, P, 1}, rows + all + of_student);
  }
  return {rows, rows + all, prototypes(problem.student, 0),
          prototypes(problem.teacher, of_prototypes)};
}

}  // namespace

bool flash_fits(const Gpu& gpu, int64_t P) { return flash_fits(gpu, P, 2); }

// Into how many parts prototypes are cut, at most `most`, so that blocks, one a processor at a
// time, fill whole rounds. A few parts more than are needed cost little.
static int64_t parts_for(int64_t tiles, int64_t processors, int64_t most) {
  int64_t best = 1, last = std::min(most, std::max<int64_t>(4, processors / tiles));
  double filled = 0;
  for (int64_t count = 1; count <= last; count++) {
    int64_t blocks = tiles * count, rounds = ceil_div(blocks, processors);
    double fill = static_cast<double>(blocks) / static_cast<double>(rounds * processors);
    if (fill <= 1.02 * filled) continue;
    filled = fill;
    best = count;
  }
  return best;
}

Parts flash_sweep(Gpu& gpu, const Problem& problem) {
  int64_t tiles = problem.tiles(flash_rows), most = whole(problem.K, flash_columns) / flash_columns;
  int64_t count = parts_for(tiles, gpu.processors(), most);
  Parts parts = parts_of(gpu, problem, whole(most, count) / count * flash_columns);
  dim3 blocks(static_cast<unsigned>(tiles), static_cast<unsigned>(parts.count));
  with_flash_width(problem.P, [&]<int W>() {
    GPU_LAUNCH(gpu, sweep_kernel<W>, Grid{blocks, dim3(tile_threads), Flash<W>::bytes(2)}, problem,
               rounded_operands(gpu, problem, nullptr), parts);
  });
  return parts;
}

void flash_slopes(Gpu& gpu, const Problem& problem, const Slopes& slopes) {
  dim3 blocks(static_cast<unsigned>(whole(problem.K, flash_rows) / flash_rows));
  with_flash_width(problem.P, [&]<int W>() {
    GPU_LAUNCH(gpu, slope_kernel<W>, Grid{blocks, dim3(tile_threads), Flash<W>::bytes(2)}, problem,
               rounded_operands(gpu, problem, slopes.pull), slopes);
  });
}

}  // namespace protea::gpu
