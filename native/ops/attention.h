#pragma once
// What the attention ops share: the layout of qkv and its checks.
#include <cmath>

#include "../core/op.h"
#include "../kernels/gemm.h"

namespace protea {

// qkv (B, N, 3 D): a token's row holds q, k and v of width D, each head after head.
struct AttentionShape {
  int64_t B, N, D, heads, width;
  double scale;

  AttentionShape(const Shape& qkv, const Attrs& attrs)
      : B(qkv.dim(0)),
        N(qkv.dim(1)),
        D(qkv.dim(2) / 3),
        heads(attrs.integer("heads")),
        width(D / heads),
        scale(attrs.number("scale", 1 / std::sqrt(static_cast<double>(width)))) {}

  int64_t pieces() const { return B * heads; }
  // Where the q of one (image, head) begins; k and v lie D and 2 D further.
  int64_t query(int64_t piece) const { return piece / heads * N * 3 * D + piece % heads * width; }
  int64_t output(int64_t piece) const { return piece / heads * N * D + piece % heads * width; }
};

inline void check_attention(const char* op, std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1 && has_gradient(in[0].dtype), Code::Dtype, op,
        " takes one qkv of f32 or f64");
  const Shape& shape = in[0].shape;
  int64_t heads = attrs.integer("heads");
  check(heads > 0, Code::Unsupported, op, " heads must be > 0, got ", heads);
  check(shape.rank() == 3 && shape.dim(1) > 0 && shape.dim(2) % (3 * heads) == 0, Code::Shape, op,
        " qkv must be (B, N > 0, 3 D) with D a multiple of ", heads, " heads, got ", shape);
}

// S = q kᵀ of one (image, head), unscaled.
template <class T>
void attention_scores(const AttentionShape& s, const T* qkv, int64_t piece, T* scores) {
  const T* q = qkv + s.query(piece);
  gemm<T>(s.N, s.N, s.width, {q, 3 * s.D}, {q + s.D, 3 * s.D, true}, scores, s.N, false);
}

}  // namespace protea
