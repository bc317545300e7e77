// Attention in bf16: a warp keeps 16 tokens of its block, whose scores stay in registers until they
// have weighed the values (FlashAttention-2, Dao 2023). Backward computes them again.
#include "attention_flash.h"

#include "../cuda/two_rows.cuh"

namespace protea::gpu {
namespace {

constexpr int own_tokens = tile_threads / 32 * 16, other_tokens = 64, step_tokens = 32;

// Two arrays of a block's own tokens, and two of the tokens they meet, rounded.
template <int W>
struct Tokens {
  static constexpr int stride = W + 8;
  static constexpr size_t bytes =
      2 * carved<bf16>(own_tokens * stride) + 2 * carved<bf16>(other_tokens * stride);
  using Step = WarpRows<step_tokens>;

  Carver carver = {};
  bf16* own[2] = {carver.take<bf16>(own_tokens * stride), carver.take<bf16>(own_tokens* stride)};
  bf16* other[2] = {carver.take<bf16>(other_tokens * stride),
                    carver.take<bf16>(other_tokens* stride)};
  TokenBlock block;
  int64_t piece = block.piece, first = block.first;

  GPU_DEVICE explicit Tokens(const Heads& heads) : block(token_block(heads, own_tokens)) {}

  GPU_DEVICE static void load(bf16* to, const View& view, int64_t token, int count) {
    for (int n = static_cast<int>(threadIdx.x); n < count * W / 8; n += tile_threads) {
      int i = n / (W / 8), k = n % (W / 8) * 8;
      auto pair = [&](int e) {
        return packed<bf16>(view.at(token + i, k + e), view.at(token + i, k + e + 1));
      };
      *reinterpret_cast<uint4*>(to + i * stride + k) =
          make_uint4(pair(0), pair(2), pair(4), pair(6));
    }
  }
  GPU_DEVICE void load_own(int which, const View& view) const {
    load(own[which], view, first, own_tokens);
  }

  // Calls body(token, a, b) for every 32 tokens of the two arrays. Warps without a token of their
  // own only help to load.
  template <class Body>
  GPU_DEVICE void meet(const View& a, const View& b, const Body& body) const {
    bool busy = first + warp_index() * 16 < a.rows;
    for (int64_t begin = 0; begin < a.rows; begin += other_tokens) {
      load(other[0], a, begin, other_tokens);
      load(other[1], b, begin, other_tokens);
      __syncthreads();
      for (int n = 0; busy && n < other_tokens && begin + n < a.rows; n += step_tokens)
        body(begin + n, other[0] + n * stride, other[1] + n * stride);
      __syncthreads();
    }
  }

  // Products of the warp's own tokens with 32 others.
  GPU_DEVICE Step products(int which, const bf16* others) const {
    Step result;
    result.clear();
    result.template add_product<bf16>(own[which] + warp_index() * 16 * stride, stride, others,
                                      stride, W);
    return result;
  }

  // What the warp's tokens came to, times `factor` of each of a lane's two rows.
  GPU_DEVICE void write(WarpRows<W>& rows, const View& to, float* at, const float (&factor)[2],
                        bool accumulate) const {
    rows.each([&](int upper, int j, float value) {
      int64_t token = first + row_of_lane(upper);
      if (token < to.rows && j < to.depth)
        put(at, token * to.row + j, factor[upper] * value, accumulate);
    });
  }
};

// One block of queries.
template <int W>
__global__ void __launch_bounds__(tile_threads)
    flash_forward_kernel(Heads heads, const float* qkv, float* y, float* lse) {
  Tokens<W> queries(heads);
  int64_t piece = queries.piece;
  queries.load_own(0, heads.part(qkv, piece, 0));
  TwoRows two;
  WarpRows<W> output;
  output.clear();
  queries.meet(heads.part(qkv, piece, 1), heads.part(qkv, piece, 2),
               [&](int64_t key, const bf16* k, const bf16* v) {
                 auto scores = queries.products(0, k);
                 scores.each([&](int, int j, float& s) {
                   s = key + j < heads.N ? heads.scale * s : -INFINITY;
                 });
                 float2 shrink = two.take(scores);
                 output.each([&](int upper, int, float& o) { o *= upper ? shrink.y : shrink.x; });
                 output.template add_product<bf16>(scores, v, queries.stride);
               });
  float inverse[2];
  for (int upper = 0; upper < 2; upper++) {
    float sum = quad_sum(two.sum[upper]);
    int64_t token = queries.first + row_of_lane(upper);
    inverse[upper] = 1 / sum;
    if (lane_index() % 4 == 0 && token < heads.N)
      lse[piece * heads.N + token] = two.top[upper] + logf(sum);
  }
  View to = heads.output(y, piece);
  queries.write(output, to, y + (to.data - y), inverse, false);
}

// dq of a block of queries: Σ over keys of ds k, ds = scale p (dy v - delta).
template <int W>
__global__ void __launch_bounds__(tile_threads)
    flash_dq_kernel(Heads heads, Saved saved, float* dqkv, bool accumulate) {
  Tokens<W> queries(heads);
  int64_t piece = queries.piece;
  queries.load_own(0, heads.part(saved.qkv, piece, 0));
  queries.load_own(1, heads.output(saved.dy, piece));
  float lse[2] = {INFINITY, INFINITY}, delta[2] = {0, 0};
  for (int upper = 0; upper < 2; upper++) {
    int64_t token = queries.first + row_of_lane(upper);
    if (token >= heads.N) continue;
    lse[upper] = saved.lse[piece * heads.N + token];
    delta[upper] = saved.delta[piece * heads.N + token];
  }
  WarpRows<W> dq;
  dq.clear();
  queries.meet(heads.part(saved.qkv, piece, 1), heads.part(saved.qkv, piece, 2),
               [&](int64_t key, const bf16* k, const bf16* v) {
                 auto ds = queries.products(0, k), slopes = queries.products(1, v);
                 ds.each_with(slopes, [&](int upper, int j, float& s, float slope) {
                   float p = key + j < heads.N ? exponential(heads.scale * s - lse[upper]) : 0;
                   s = p * (slope - delta[upper]);
                 });
                 dq.template add_product<bf16>(ds, k, queries.stride);
               });
  View to = heads.part(dqkv, piece, 0);
  queries.write(dq, to, dqkv + (to.data - dqkv), {heads.scale, heads.scale}, accumulate);
}

// dk and dv of a block of keys: Σ over queries of dsᵀ q and pᵀ dy.
template <int W>
__global__ void __launch_bounds__(tile_threads)
    flash_dkv_kernel(Heads heads, Saved saved, float* dqkv, bool accumulate) {
  Tokens<W> keys(heads);
  int64_t piece = keys.piece;
  keys.load_own(0, heads.part(saved.qkv, piece, 1));
  keys.load_own(1, heads.part(saved.qkv, piece, 2));
  WarpRows<W> dk, dv;
  dk.clear();
  dv.clear();
  keys.meet(heads.part(saved.qkv, piece, 0), heads.output(saved.dy, piece),
            [&](int64_t query, const bf16* q, const bf16* dy) {
              const float *lse = saved.lse + piece * heads.N + query,
                          *delta = saved.delta + piece * heads.N + query;
              auto p = keys.products(0, q), ds = keys.products(1, dy);
              p.each_with(ds, [&](int, int j, float& s, float& slope) {
                bool inside = query + j < heads.N;
                s = inside ? exponential(heads.scale * s - lse[j]) : 0;
                slope = inside ? s * (slope - delta[j]) : 0;
              });
              dv.template add_product<bf16>(p, dy, keys.stride);
              dk.template add_product<bf16>(ds, q, keys.stride);
            });
  View to_k = heads.part(dqkv, piece, 1), to_v = heads.part(dqkv, piece, 2);
  keys.write(dk, to_k, dqkv + (to_k.data - dqkv), {heads.scale, heads.scale}, accumulate);
  keys.write(dv, to_v, dqkv + (to_v.data - dqkv), {1, 1}, accumulate);
}

template <class Body>
void with_width(const AttentionShape& s, const Body& body) {
  s.width <= 64 ? body.template operator()<64>() : body.template operator()<128>();
}

template <int W>
Grid grid_of(const AttentionShape& s) {
  return {token_blocks(s, own_tokens), dim3(tile_threads), Tokens<W>::bytes};
}

}  // namespace

bool flash_attention_fits(const Gpu& gpu, const AttentionShape& s) {
  size_t bytes = s.width <= 64 ? Tokens<64>::bytes : Tokens<128>::bytes;
  return gpu.precision() == Precision::BF16 && s.width <= 128 && bytes <= gpu.shared_limit();
}

void flash_attention(Gpu& gpu, const AttentionShape& s, const float* qkv, float* y, float* lse) {
  with_width(s, [&]<int W>() {
    GPU_LAUNCH(gpu, flash_forward_kernel<W>, grid_of<W>(s), Heads(s), qkv, y, lse);
  });
}

void flash_attention_back(Gpu& gpu, const AttentionShape& s, const Saved& saved, float* dqkv,
                          bool accumulate) {
  with_width(s, [&]<int W>() {
    GPU_LAUNCH(gpu, flash_dq_kernel<W>, grid_of<W>(s), Heads(s), saved, dqkv, accumulate);
    GPU_LAUNCH(gpu, flash_dkv_kernel<W>, grid_of<W>(s), Heads(s), saved, dqkv, accumulate);
  });
}

}  // namespace protea::gpu
