#pragma once
// The way back of prototype_cross_entropy, block by block of prototypes: the gradient of the
// student's logits, and what it gives to dW, dbias and dz. The contract of the op stands in
// prototype_cross_entropy.cpp.
#include <optional>
#include <vector>

#include "../core/scratch.h"
#include "cross_entropy_problem.h"

namespace protea::cross_entropy {

// What all blocks share when they go back.
template <class T>
struct Back {
  const Problem<T>& problem;
  double dloss;
  std::optional<PackedRows<T>> packed;  // where the exponentials were not kept
  std::vector<T> z;                     // (S, P) z_s / temperature
  Panels<T> z_panels;
  std::vector<T> weight;  // (S) of p_s: that of all its pairs

  Back(const Problem<T>& problem, double dloss)
      : problem(problem),
        dloss(dloss),
        z(problem.S * problem.P),
        z_panels(scaled(), problem.S, problem.P),
        weight(problem.S) {
    if (!problem.kept) packed.emplace(problem);
    for (const ViewPair& pair : problem.pairs)
      for (int64_t b = 0; b < problem.images; b++)
        weight[pair.s + b] += static_cast<T>(dloss * problem.weight(pair, b));
  }

 private:
  Matrix<T> scaled() {
    const LogitRows<T>& of = problem.student;
    rows<T>().scaled_copy(of.rows * of.P, of.inverse_temperature, of.z, z.data());
    return {z.data(), of.P};
  }
};

// The exponentials of a block (block, R), and what makes each row's probabilities of them.
template <class T>
struct Exponentials {
  const T* values;
  T* share;  // (R)

  Exponentials(const Back<T>& back, const Run& run, int64_t block)
      : share(scratch<T>(1, back.problem.R)) {
    const Problem<T>& problem = back.problem;
    const PrototypeBlocks& blocks = problem.blocks;
    int64_t R = problem.R;
    const T *top = run.out[normalizers].as<T>(), *inverse_sum = top + R;
    if (problem.kept) {
      const T* then = run.out[tops].as<T>() + block * R;
      for (int64_t r = 0; r < R; r++) share[r] = std::exp(then[r] - top[r]) * inverse_sum[r];
      values = run.out[exponentials].as<T>() + blocks.begin(block) * R;
    } else {
      T* tile = scratch<T>(0, R * blocks.size);
      std::copy_n(top, R, share);
      back.packed->logits(block, tile, share);
      rows<T>().columns_exp_sum(blocks.width(block), R, R, top, tile, share);
      std::copy_n(inverse_sum, R, share);
      values = tile;
    }
  }
};

// The gradient of a block's student logits (block, S): Σ_t weight (p_s - q_t).
template <class T>
const T* logit_gradient(const Back<T>& back, const Run& run, int64_t block) {
  const Problem<T>& problem = back.problem;
  int64_t n = problem.blocks.width(block), S = problem.S, R = problem.R, B = problem.images;
  Exponentials<T> e(back, run, block);
  T *to = scratch<T>(2, S * problem.blocks.size), *factor = scratch<T>(3, S);
  for (int64_t s = 0; s < S; s++) factor[s] = back.weight[s] * e.share[s];
  rows<T>().columns_scaled_copy(n, S, factor, e.values, R, to, S);
  for (const ViewPair& pair : problem.pairs) {
    int64_t t = S + pair.t;
    for (int64_t b = 0; b < B; b++)
      factor[b] = static_cast<T>(-back.dloss * problem.weight(pair, b)) * e.share[t + b];
    rows<T>().columns_scaled_add(n, B, factor, e.values + t, R, to + pair.s, S);
  }
  return to;
}

// dW and dbias of a block, and what it adds to dz temperature (S, P).
template <class T>
void back_block(const Back<T>& back, const Run& run, int64_t block, T* dz) {
  const Problem<T>& problem = back.problem;
  int64_t P = problem.P, S = problem.S;
  int64_t first = problem.blocks.begin(block), n = problem.blocks.width(block);
  const T* dlogits = logit_gradient(back, run, block);
  if (dz) gemm<T>(S, P, n, {dlogits, S, true}, {problem.student.w + first * P, P}, dz, P, true);
  if (const Gradient& dw = run.din[w_student])
    back.z_panels.multiply(n, dlogits, S, dw.as<T>() + first * P, P, dw.accumulate);
  if (const Gradient& dbias = run.din[bias_student])
    for (int64_t k = 0; k < n; k++) {
      T *to = dbias.as<T>() + first + k, sum = rows<T>().sum(S, dlogits + k * S);
      *to = dbias.accumulate ? *to + sum : sum;
    }
}

// dz of all pieces, in order.
template <class T>
void join_dz(const Problem<T>& problem, const std::vector<std::vector<T>>& pieces,
             const Gradient& dz) {
  int64_t n = problem.S * problem.P;
  T* to = dz.as<T>();
  if (!dz.accumulate) std::fill_n(to, n, T(0));
  for (const std::vector<T>& piece : pieces)
    rows<T>().axpy(n, problem.student.inverse_temperature, piece.data(), to);
}

}  // namespace protea::cross_entropy
