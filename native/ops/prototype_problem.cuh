#pragma once
// Rows of student and teacher against their prototypes, as the two sweeps of the prototype
// cross-entropy see them.
#include "prototype_rows.cuh"

namespace protea {

// Inputs and outputs of the op.
enum { z_student, w_student, bias_student, z_teacher, w_teacher, bias_teacher, row_weight };
enum { loss, log_sum_exps, means };

namespace gpu {

// Some rows of the student or of the teacher.
struct RowTile {
  Logits logits;       // by value: of a reference to one of two, every use would be a load
  int64_t row, first;  // the first of them among its own, and among all
  int64_t count;       // that follow, this one included
  bool of_student;
};

// Student rows first, then the teacher's; tiles of rows hold rows of one of them.
struct Problem {
  Logits student, teacher;
  int64_t S, R, K, P, images, views, teacher_views;
  const double* pairs;      // (views, teacher_views)
  const float* row_weight;  // (S) or null

  GPU_DEVICE RowTile tile(int64_t n, int64_t height = tile_rows) const {
    int64_t of_student = ceil_div(S, height);
    if (n < of_student) return {student, n * height, n * height, S - n * height, true};
    int64_t row = (n - of_student) * height;
    return {teacher, row, S + row, R - S - row, false};
  }
  GPU_DEVICE double weight(int64_t s, int64_t u) const {
    double pair = pairs[s / images * teacher_views + u];
    return row_weight ? pair * row_weight[s] : pair;
  }
  int64_t tiles(int64_t height = tile_rows) const {
    return ceil_div(S, height) + ceil_div(R - S, height);
  }
};

// What the blocks of the first sweep leave of each part of the prototypes: running softmaxes and
// sums of prototypes.
struct Parts {
  int64_t size, count;
  Running* running;  // (count, R)
  float* means;      // (count, R, P)
};

// What the second sweep goes by, and what it finds.
struct Slopes {
  const float *lse, *pull, *weight;  // (R), (R, P), (R)
  float *dw, *dbias;                 // null: not wanted
  bool add_dw, add_dbias;
};

inline Logits logits_of(const Run& run, int first, const char* temperature) {
  return Logits(run.in[first], run.in[first + 1], run.in[first + 2], run.attrs.number(temperature));
}

// Slots of working memory.
constexpr int pairs_slot = 0, means_slot = 1, running_slot = 2, bias_slot = 3, pull_slot = 4,
              weight_slot = 5, rows_slot = 6, prototypes_slot = 7;

// Parts of `size` prototypes each.
inline Parts parts_of(Gpu& gpu, const Problem& problem, int64_t size) {
  Parts parts{size, ceil_div(problem.K, size), nullptr, nullptr};
  parts.running = gpu.scratch<Running>(running_slot, parts.count * problem.R);
  parts.means = gpu.scratch<float>(means_slot, parts.count * problem.R * problem.P);
  return parts;
}

inline Problem problem_of(const Run& run) {
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
                  run.in[row_weight].as<float>()};
  problem.images = problem.S / problem.views;
  return problem;
}

// Shared memory of the two sweeps, for W columns of the mean prototypes (or of dW) at a time.
template <class T, int W>
struct Sweep {
  static constexpr int stride = tile_stride<T>(tile_rows);
  static constexpr int square = tile_rows * stride, columns = W * stride;
  static constexpr size_t bytes = 2 * carved<T>(operand_size<T>()) +
                                  carved<float>(tile_rows * score_stride) + carved<T>(square) +
                                  carved<T>(columns);
  Carver carver = {};
  T* left = carver.take<T>(operand_size<T>());
  T* right = carver.take<T>(operand_size<T>());
  float* scores = carver.take<float>(tile_rows * score_stride);
  T* p = carver.take<T>(square);
  T* turned = carver.take<T>(columns);

  // sum += p times what is turned.
  GPU_DEVICE void add_product(Tile<T, 4, W / 16>& sum) {
    sum.multiply(p, stride, turned, stride, tile_rows);
    // Before p, scores and turned are written again, multiply_rows waits for all.
  }
};

// Calls body.template operator()<T, W>() with the precision and the width of a sweep.
template <class Body>
void with_width(const Run& run, int64_t P, const Body& body) {
  bool exact = Gpu::of(run).precision() == Precision::F32;
  if (P <= 64)
    return exact ? body.template operator()<float, 64>() : body.template operator()<bf16, 64>();
  exact ? body.template operator()<float, 128>() : body.template operator()<bf16, 128>();
}

}  // namespace gpu
}  // namespace protea
