#pragma once
// Backward of attention: scores are computed again, dq by blocks of queries that go over all keys,
// dk and dv by blocks of keys that go over all queries.
#include "attention_flash.h"

namespace protea::gpu {

// delta (B, heads, N) = Σ_d dy y: what the rows of dP are shifted by.
template <class S>
__global__ void delta_kernel(Heads heads, const S* y, const S* dy, float* delta, int64_t rows) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  int64_t row = i < rows ? i : 0, piece = row / heads.N, token = row % heads.N;
  ViewOf<S> values = heads.output(y, piece), slopes = heads.output(dy, piece);
  float sum = 0;
  for (int64_t d = gpu::lane_index(); d < heads.width; d += 32)
    sum += values.at(token, d) * slopes.at(token, d);
  sum = gpu::warp_sum(sum);
  if (i < rows && gpu::lane_index() == 0) delta[i] = sum;
}

// p = e^(scale q k - lse) and ds = scale p (dy v - delta), both (64, 64), of one block of queries
// (rows) and keys (columns), or with the roles exchanged.
template <bool keys_first>
GPU_DEVICE void probability(const Heads& heads, const Saved& saved, int64_t piece, int64_t row,
                            int64_t column, float product, float slope, float* p, float* ds) {
  int64_t query = keys_first ? column : row, key = keys_first ? row : column;
  bool inside = query < heads.N && key < heads.N;
  int64_t at = piece * heads.N + (inside ? query : 0);
  *p = inside ? expf(heads.scale * product - saved.lse[at]) : 0;
  *ds = inside ? heads.scale * *p * (slope - saved.delta[at]) : 0;
}

// A block's own 64 tokens against 64 others at a time: (q, dy) of queries and (k, v) of keys.
template <class T, int W, bool keys_first>
struct Backward {
  using L = Layout<T, W>;
  static constexpr size_t bytes =
      4 * carved<T>(L::operand) + carved<T>(L::turned) + carved<T>(L::square);
  const Heads& heads;
  const Saved& saved;
  TokenBlock block = token_block(heads, block_tokens);
  int64_t own = block.first, piece = block.piece;
  Carver carver = {};
  T* mine[2] = {carver.take<T>(L::operand), carver.take<T>(L::operand)};
  T* theirs[2] = {carver.take<T>(L::operand), carver.take<T>(L::operand)};
  T* turned = carver.take<T>(L::turned);  // one of theirs, transposed
  T* square = carver.take<T>(L::square);

  GPU_DEVICE Backward(const Heads& heads, const Saved& saved) : heads(heads), saved(saved) {
    load_tile<block_tokens, W>(mine[0], L::stride, view(keys_first, 0), own, 0);
    load_tile<block_tokens, W>(mine[1], L::stride, view(keys_first, 1), own, 0);
  }

  GPU_DEVICE View view(bool of_keys, int which) const {
    if (of_keys) return heads.part(saved.qkv, piece, 1 + which);
    return which ? heads.output(saved.dy, piece) : heads.part(saved.qkv, piece, 0);
  }

  GPU_DEVICE void turn(int which, int64_t other) {
    View tokens = view(!keys_first, which);
    load_tile<W, block_tokens>(turned, L::turned_stride, transposed(tokens), 0, other);
  }

  // Calls body(i, j, p, ds) for own token i and the j-th of the others; `which` of theirs is
  // turned.
  template <class Body>
  GPU_DEVICE void meet(Square<T>& products, int64_t other, int which, const Body& body) {
    load_tile<block_tokens, W>(theirs[0], L::stride, view(!keys_first, 0), other, 0);
    load_tile<block_tokens, W>(theirs[1], L::stride, view(!keys_first, 1), other, 0);
    turn(which, other);
    __syncthreads();
    Square<T> slopes;
    products.clear();
    slopes.clear();
    products.multiply(mine[0], L::stride, theirs[0], L::stride, W);
    slopes.multiply(mine[1], L::stride, theirs[1], L::stride, W);
    float slope_of[16];
    int n = 0;
    slopes.each([&](int, int, float s) { slope_of[n++] = s; });
    n = 0;
    products.each([&](int i, int j, float s) {
      float p, ds;
      probability<keys_first>(heads, saved, piece, own + i, other + j, s, slope_of[n++], &p, &ds);
      body(i, j, p, ds);
    });
  }

  GPU_DEVICE void keep(int i, int j, float value) {
    square[i * L::turned_stride + j] = rounded<T>(value);
  }

  // sum += the kept square times what is turned.
  GPU_DEVICE void add_product(Tile<T, 4, W / 16>& sum) {
    __syncthreads();
    sum.multiply(square, L::turned_stride, turned, L::turned_stride, block_tokens);
    __syncthreads();
  }

  GPU_DEVICE void write(Tile<T, 4, W / 16>& sum, int part, float* dqkv, bool accumulate) {
    float* to = dqkv + heads.part_at(piece, part);
    sum.each([&](int i, int j, float value) {
      if (own + i < heads.N && j < heads.width)
        put(to, (own + i) * 3 * heads.D + j, value, accumulate);
    });
  }
};

// dq of one block of queries: Σ over keys of ds k.
template <class T, int W>
__global__ void __launch_bounds__(tile_threads)
    dq_kernel(Heads heads, Saved saved, float* dqkv, bool accumulate) {
  Backward<T, W, false> queries(heads, saved);
  Tile<T, 4, W / 16> dq;
  dq.clear();
  for (int64_t key = 0; key < heads.N; key += block_tokens) {
    Square<T> products;
    queries.meet(products, key, 0, [&](int i, int j, float, float ds) { queries.keep(i, j, ds); });
    queries.add_product(dq);
  }
  queries.write(dq, 0, dqkv, accumulate);
}

// dk and dv of one block of keys: Σ over queries of dsᵀ q and pᵀ dy.
template <class T, int W>
__global__ void __launch_bounds__(tile_threads)
    dkv_kernel(Heads heads, Saved saved, float* dqkv, bool accumulate) {
  Backward<T, W, true> keys(heads, saved);
  Tile<T, 4, W / 16> dk, dv;
  dk.clear();
  dv.clear();
  for (int64_t query = 0; query < heads.N; query += block_tokens) {
    Square<T> products;
    float ds_of[16];
    int n = 0;
    keys.meet(products, query, 1, [&](int i, int j, float p, float ds) {
      ds_of[n++] = ds;
      keys.keep(i, j, p);
    });
    keys.add_product(dv);
    n = 0;
    products.each([&](int i, int j, float) { keys.keep(i, j, ds_of[n++]); });
    keys.turn(0, query);
    keys.add_product(dk);
  }
  keys.write(dk, 1, dqkv, accumulate);
  keys.write(dv, 2, dqkv, accumulate);
}

}  // namespace protea::gpu
