#pragma once
// What the ops over all prototypes share: the cut of K into blocks that are worked on while they
// are in the cache, and the logits of one block with their running softmax.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../kernels/gemm.h"
#include "../kernels/rows.h"

namespace protea {

// K prototypes in blocks of `size`, the last one shorter; consecutive blocks form at most
// max_pieces pieces, each the work of one thread with its own sums. Depends on K alone.
struct PrototypeBlocks {
  static constexpr int64_t max_pieces = 16, smallest = 64, largest = 256;

  int64_t K, size, count, per_piece, pieces;

  explicit PrototypeBlocks(int64_t K)
      : K(K),
        size(std::clamp(ceil_div(K / 4, smallest) * smallest, smallest, largest)),
        count(ceil_div(K, size)),
        per_piece(ceil_div(count, max_pieces)),
        pieces(ceil_div(count, per_piece)) {}

  int64_t begin(int64_t block) const { return block * size; }
  int64_t width(int64_t block) const { return std::min(size, K - block * size); }
};

// Rows z against prototypes w: logits z wᵀ / temperature + bias.
template <class T>
struct LogitRows {
  const T* z;     // (rows, P)
  const T* w;     // (K, P)
  const T* bias;  // (K) or null
  int64_t rows, P;
  T inverse_temperature;

  // z wᵀ of one block into tile (rows, stride).
  void products(const PrototypeBlocks& blocks, int64_t block, T* tile) const {
    gemm<T>(rows, blocks.width(block), P, {z, P}, {w + blocks.begin(block) * P, P, true}, tile,
            blocks.size, false);
  }

  const T* bias_of(const PrototypeBlocks& blocks, int64_t block) const {
    return bias ? bias + blocks.begin(block) : nullptr;
  }
};

// The softmax of a row so far: e^(logit - top) summed. `top` only grows.
template <class T>
struct RunningSoftmax {
  T top = -std::numeric_limits<T>::infinity();
  double sum = 0;

  // Takes in n products; they become e^(logit - top). Returns what older sums of this row must be
  // multiplied by.
  T take(int64_t n, T inverse_temperature, const T* bias, T* x) {
    T most = std::max(top, rows<T>().affine_largest(n, inverse_temperature, bias, x));
    T shrink = top == most ? T(1) : std::exp(top - most);
    top = most;
    sum = sum * shrink + rows<T>().exp_sum(n, top, x);
    return shrink;
  }

  T log_sum_exp() const { return top + static_cast<T>(std::log(sum)); }
};

// Outputs::rounded of prototypes w = in[i]: the kernels for bf16 read what the runtime rounds where
// it fills their tiles.
inline uint64_t rounded_prototypes(size_t i, const Tensor& w) {
  int64_t P = w.dim(1);
  bool fills = (P == 64 || P == 128 || P == 256) && w.dim(0) % 128 == 0;
  return fills ? uint64_t{1} << i : 0;
}

inline void check_prototype_rows(const char* op, const char* which, const Tensor& z,
                                 const Tensor& w, const Tensor& bias) {
  check(z.rank() == 2 && is_floating(z.dtype), Code::Shape, op, " z of the ", which,
        " must be (rows, P) of f32 or f64, got ", z.shape, " of ", name_of(z.dtype));
  check(w.rank() == 2 && w.dim(1) == z.dim(1) && w.dim(0) > 0, Code::Shape, op,
        " prototypes of the ", which, " must be (K, ", z.dim(1), "), got ", w.shape);
  check(!bias || bias.shape == Shape{w.dim(0)}, Code::Shape, op, " bias of the ", which,
        " must be (", w.dim(0), "), got ", bias.shape);
  check(w.dtype == z.dtype && (!bias || bias.dtype == z.dtype), Code::Dtype, op,
        " z, prototypes and bias of the ", which, " must have one dtype");
}

}  // namespace protea
