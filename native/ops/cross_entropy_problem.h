#pragma once
// What both passes of prototype_cross_entropy work on: the rows of student and teacher, one below
// the other, and the products of all of them with any block of prototypes. The contract of the op
// stands in prototype_cross_entropy.cpp.
#include <span>
#include <vector>

#include "../kernels/panels.h"
#include "prototype_blocks.h"

namespace protea::cross_entropy {

// 32 MiB of f32.
inline constexpr int64_t kept_elements = int64_t{1} << 23;

enum { z_student, w_student, bias_student, z_teacher, w_teacher, bias_teacher, row_weight };
enum { loss, normalizers, means, tops, exponentials };

inline bool keeps(int64_t rows, int64_t K) { return rows * K <= kept_elements; }

// Two views that are compared, image by image: the first row of each, and how much it counts.
struct ViewPair {
  int64_t s, t;
  double weight;
};

// The rows of student and teacher, one below the other, and how much each pair counts.
template <class T>
struct Problem {
  LogitRows<T> student, teacher;
  PrototypeBlocks blocks;
  int64_t S, R, P, images;
  std::vector<ViewPair> pairs;
  const T* row_weight;
  bool kept;

  explicit Problem(const Run& run)
      : student(rows_of(run, z_student, "student_temperature")),
        teacher(rows_of(run, z_teacher, "teacher_temperature")),
        blocks(run.in[w_student].dim(0)),
        S(student.rows),
        R(S + teacher.rows),
        P(student.P),
        images(S / run.attrs.integer("views")),
        pairs(pairs_of(run.attrs, images)),
        row_weight(run.in[6].as<T>()),
        kept(keeps(R, blocks.K)) {}

  static LogitRows<T> rows_of(const Run& run, int first, const char* temperature) {
    const Array &z = run.in[first], &w = run.in[first + 1], &bias = run.in[first + 2];
    return {z.as<T>(), w.as<T>(), bias.as<T>(),
            z.dim(0),  z.dim(1),  static_cast<T>(1 / run.attrs.number(temperature))};
  }

  // The pairs of views that count.
  static std::vector<ViewPair> pairs_of(const Attrs& attrs, int64_t images) {
    std::span<const double> weights = attrs.list("pairs");
    int64_t U = attrs.integer("teacher_views");
    std::vector<ViewPair> pairs;
    for (int64_t i = 0; i < static_cast<int64_t>(weights.size()); i++)
      if (weights[i] != 0) pairs.push_back({i / U * images, i % U * images, weights[i]});
    return pairs;
  }

  double weight(const ViewPair& pair, int64_t image) const {
    return row_weight ? pair.weight * row_weight[pair.s + image] : pair.weight;
  }
};

// The bottleneck vectors of both sides, ready for the products with any block of prototypes.
template <class T>
struct PackedRows {
  const Problem<T>& problem;
  Panels<T> student, teacher;

  explicit PackedRows(const Problem<T>& problem)
      : problem(problem), student(packed(problem.student)), teacher(packed(problem.teacher)) {}

  static Panels<T> packed(const LogitRows<T>& of) { return {{of.z, of.P, true}, of.P, of.rows}; }

  // The logits of one block into tile (block, R); top (R) rises to the largest of each row. The
  // teacher's prototypes are fetched beside the student's products, the student's next ones beside
  // the teacher's.
  void logits(int64_t block, T* tile, T* top) const {
    const PrototypeBlocks& blocks = problem.blocks;
    const LogitRows<T>&s = problem.student, &t = problem.teacher;
    bool last = block + 1 == blocks.count || blocks.width(block + 1) < blocks.size;
    const T* next = last ? nullptr : s.w + blocks.begin(block + 1) * s.P;
    one_side(s, student, block, tile, top, t.w + blocks.begin(block) * t.P);
    one_side(t, teacher, block, tile + problem.S, top + problem.S, next);
  }

 private:
  void one_side(const LogitRows<T>& of, const Panels<T>& z, int64_t block, T* tile, T* top,
                const T* ahead) const {
    const PrototypeBlocks& blocks = problem.blocks;
    int64_t n = blocks.width(block), R = problem.R;
    z.multiply(n, of.w + blocks.begin(block) * of.P, of.P, tile, R, false, ahead);
    rows<T>().columns_affine_largest(n, of.rows, R, of.inverse_temperature,
                                     of.bias_of(blocks, block), tile, top);
  }
};

}  // namespace protea::cross_entropy
