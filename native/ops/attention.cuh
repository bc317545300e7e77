#pragma once
// What the CUDA attention ops share: blocks of 64 queries against blocks of 64 keys, in shared
// memory. Scores are computed again wherever they are needed; nothing of size N x N is kept.
#include "../cuda/products.cuh"
#include "attention.h"

namespace protea::gpu {

constexpr int block_tokens = tile_rows;

// One (image, head) of qkv (B, N, 3 D) and of a (B, N, D).
struct Heads {
  int64_t N, D, heads, width;
  float scale;

  explicit Heads(const AttentionShape& s)
      : N(s.N), D(s.D), heads(s.heads), width(s.width), scale(static_cast<float>(s.scale)) {}

  // Where they begin, rows being tokens; which: 0 q, 1 k, 2 v.
  GPU_DEVICE int64_t part_at(int64_t piece, int which) const {
    return piece / heads * N * 3 * D + which * D + piece % heads * width;
  }
  GPU_DEVICE int64_t output_at(int64_t piece) const {
    return piece / heads * N * D + piece % heads * width;
  }
  template <class S>
  GPU_DEVICE ViewOf<S> part(const S* qkv, int64_t piece, int which) const {
    return {qkv + part_at(piece, which), N, width, 3 * D, 1};
  }
  template <class S>
  GPU_DEVICE ViewOf<S> output(const S* y, int64_t piece) const {
    return {y + output_at(piece), N, width, D, 1};
  }
};

// A block's own tokens: `first` ... of (image, head) `piece`. Blocks lie in x alone, those of one
// piece side by side: in y and z a grid ends at 65,535.
struct TokenBlock {
  int64_t piece, first;
};
GPU_DEVICE TokenBlock token_block(const Heads& heads, int tokens) {
  int64_t blocks = ceil_div(heads.N, tokens);
  return {blockIdx.x / blocks, blockIdx.x % blocks * tokens};
}
inline dim3 token_blocks(const AttentionShape& s, int tokens) {
  return dim3(static_cast<unsigned>(ceil_div(s.N, tokens) * s.pieces()));
}

// The same matrix with rows and columns exchanged.
GPU_DEVICE View transposed(const View& v) { return {v.data, v.depth, v.rows, v.along, v.row}; }

// Widths of heads a kernel is made for, rounded up.
constexpr int most_width = 128;

// Scores and probabilities of one block of queries and one of keys.
template <class T>
using Square = Tile<T, 4, 4>;

// How operands lie in shared memory, W being the width of a head rounded up.
template <class T, int W>
struct Layout {
  static constexpr int stride = tile_stride<T>(W);                    // rows of q, k, v
  static constexpr int turned_stride = tile_stride<T>(block_tokens);  // rows of p, vᵀ
  static constexpr int operand = block_tokens * stride;
  static constexpr int turned = W * turned_stride, square = block_tokens * turned_stride;
};

}  // namespace protea::gpu
