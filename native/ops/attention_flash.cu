// Attention in bf16: a warp keeps 16 tokens of its block, whose scores stay in registers until they
// have weighed the values (FlashAttention-2, Dao 2023). Backward computes them again. What a step
// needs is read from memory while the step before is computed, and rounded on its way.
#include "attention_flash.h"

#include <algorithm>

#include "../cuda/held_rows.cuh"
#include "../cuda/two_rows.cuh"

namespace protea::gpu {
namespace {

// What a block's tokens meet: two arrays of all tokens. Those of queries, in backward, have numbers
// that their scores and slopes are lowered by.
template <class S>
struct Others {
  ViewOf<S> a, b;
  const float *lse = nullptr, *delta = nullptr;
};

// Of these no more than `left` are tokens.
struct Step {
  const bf16 *a, *b;
  const float *lse, *delta;
  int left;
};

// A block of 16 tokens a warp, of which it has `Owns` arrays, against the others, `Tokens` at a
// time. Tokens are stored as S.
template <class S, int W, int Warps, int Owns, int Tokens>
struct Meeting {
  static constexpr int threads = 32 * Warps, own_tokens = 16 * Warps, stride = W + 8;
  static constexpr int own_size = own_tokens * stride, step_size = Tokens * stride;
  static constexpr size_t bytes =
      carved<bf16>(Owns * own_size) + carved<bf16>(4 * step_size) + carved<float>(4 * Tokens);
  static_assert(2 * Tokens <= threads);
  using Products = WarpRows<Tokens>;

  int piece, first;
  bf16 *own, *steps;  // two stages of two arrays
  float* lowered;     // two stages of lse and delta

  GPU_DEVICE explicit Meeting(const Heads& heads) {
    TokenBlock block = token_block(heads, own_tokens);
    piece = static_cast<int>(block.piece), first = static_cast<int>(block.first);
    Carver carver;
    own = carver.take<bf16>(Owns * own_size);
    steps = carver.take<bf16>(4 * step_size);
    lowered = carver.take<float>(4 * Tokens);
  }

  // A step on its way.
  struct Ahead {
    HeldRows<W, Tokens, threads, S> a, b;
    float low;
  };
  GPU_DEVICE static void load(Ahead& next, const Others<S>& others, int token) {
    next.a.load(others.a, token);
    next.b.load(others.b, token);
    if (others.lse) next.low = lowering(others, token + static_cast<int>(threadIdx.x) % Tokens);
  }
  GPU_DEVICE void store(const Ahead& next, const Others<S>& others, int stage) const {
    next.a.store(step_of(stage, 0), stride);
    next.b.store(step_of(stage, 1), stride);
    if (others.lse && threadIdx.x < 2 * Tokens) low_of(stage)[threadIdx.x] = next.low;
  }
  // By the first threads of scores, by the next ones of slopes. What lies outside counts for
  // nothing whatever its probability: its rows are 0.
  GPU_DEVICE static float lowering(const Others<S>& others, int token) {
    if (token >= others.a.rows) return 0;
    return (threadIdx.x < Tokens ? others.lse : others.delta)[token];
  }
  GPU_DEVICE bf16* step_of(int stage, int which) const {
    return steps + (2 * stage + which) * step_size;
  }
  GPU_DEVICE float* low_of(int stage) const { return lowered + stage * 2 * Tokens; }

  // The block's own tokens and the first step, all under way at once.
  GPU_DEVICE void begin(Ahead& next, const ViewOf<S> (&mine)[Owns], const Others<S>& others) const {
    HeldRows<W, own_tokens, threads, S> rows[Owns];
    load(next, others, 0);
#pragma unroll
    for (int i = 0; i < Owns; i++) rows[i].load(mine[i], first);
#pragma unroll
    for (int i = 0; i < Owns; i++) rows[i].store(own + i * own_size, stride);
    store(next, others, 0);
  }

  // Calls body(step) for all others. Behind the barrier a step is there, and all warps are through
  // with the one before, whose place the next one takes. Warps without a token of their own only
  // help to load.
  template <class Body>
  GPU_DEVICE void meet(const ViewOf<S> (&mine)[Owns], const Others<S>& others,
                       const Body& body) const {
    Ahead next;
    begin(next, mine, others);
    int all = static_cast<int>(others.a.rows), stage = 0;
    bool busy = first + warp_index() * 16 < all;
    for (int token = 0; token < all; token += Tokens, stage ^= 1) {
      int left = all - token;
      if (left > Tokens) load(next, others, token + Tokens);
      __syncthreads();
      const float* low = low_of(stage);
      if (busy) body(Step{step_of(stage, 0), step_of(stage, 1), low, low + Tokens, left});
      if (left > Tokens) store(next, others, stage ^ 1);
    }
  }

  // Products of the warp's own tokens with those of a step. Where two arrays meet two, registers
  // are short.
  GPU_DEVICE Products products(int which, const bf16* others) const {
    Products result;
    result.clear();
    const bf16* mine = own + which * own_size + warp_index() * 16 * stride;
    result.template add_product<bf16, Owns == 2 ? 2 : 4>(mine, stride, others, stride, W);
    return result;
  }

  // What the warp's tokens came to, times `factor` of each of a lane's two rows. A token's row in
  // `to` is as long as `stride`.
  GPU_DEVICE void write(const Heads& heads, const WarpRows<W>& rows, S* to, int64_t stride,
                        const float (&factor)[2], bool accumulate) const {
    rows.each_pair([&](int upper, int j, float x, float y) {
      int64_t token = first + row_of_lane(upper);
      if (token >= heads.N || j >= heads.width) return;
      S* pair = to + token * stride + j;
      put_pair(pair, {factor[upper] * x, factor[upper] * y}, accumulate);
    });
  }
  GPU_DEVICE static void put_pair(float* to, float2 value, bool accumulate) {
    auto* pair = reinterpret_cast<float2*>(to);
    float2 old = accumulate ? *pair : float2{0, 0};
    *pair = {old.x + value.x, old.y + value.y};
  }
  GPU_DEVICE static void put_pair(bf16* to, float2 value, bool accumulate) {
    auto* pair = reinterpret_cast<uint32_t*>(to);
    float2 old = accumulate ? unpacked<bf16>(*pair) : float2{0, 0};
    *pair = packed<bf16>(old.x + value.x, old.y + value.y);
  }
};

// Steps of 32 tokens read the block's own tokens half as often as steps of 16, but hold twice the
// scores and twice what comes next: only in forward, and by eight warps, there is room for it.
template <class S, int W, int Warps>
using Forward = Meeting<S, W, Warps, 1, Warps == 4 ? 16 : 32>;
template <class S, int W, int Warps>
using Backward = Meeting<S, W, Warps, 2, 16>;

// Blocks on a processor: sixteen warps whose threads have 128 registers each, or twelve with 168.
constexpr int least_blocks(int W, int warps, int resident = 16) {
  return W <= 64 ? resident / warps : 1;
}

// One block of queries.
template <class S, int W, int Warps>
__global__ void __launch_bounds__(32 * Warps, least_blocks(W, Warps))
    flash_forward_kernel(Heads heads, const S* qkv, S* y, float* lse) {
  Forward<S, W, Warps> queries(heads);
  int64_t piece = queries.piece;
  TwoRows two;
  WarpRows<W> output;
  output.clear();
  queries.meet(
      {heads.part(qkv, piece, 0)}, {heads.part(qkv, piece, 1), heads.part(qkv, piece, 2)},
      [&](const Step& keys) {
        auto scores = queries.products(0, keys.a);
        scores.each([&](int, int j, float& s) { s = j < keys.left ? heads.scale * s : -INFINITY; });
        float2 shrink = two.take(scores);
        output.each([&](int upper, int, float& o) { o *= upper ? shrink.y : shrink.x; });
        output.template add_product<bf16>(scores, keys.b, queries.stride);
      });
  float inverse[2];
  for (int upper = 0; upper < 2; upper++) {
    float sum = quad_sum(two.sum[upper]);
    int64_t token = queries.first + row_of_lane(upper);
    inverse[upper] = 1 / sum;
    if (lane_index() % 4 == 0 && token < heads.N)
      lse[piece * heads.N + token] = two.top[upper] + logf(sum);
  }
  queries.write(heads, output, y + heads.output_at(piece), heads.D, inverse, false);
}

// dq of a block of queries: Σ over keys of ds k, ds = scale p (dy v - delta).
template <class S, int W, int Warps>
__global__ void __launch_bounds__(32 * Warps, least_blocks(W, Warps))
    flash_dq_kernel(Heads heads, SavedAs<S> saved, S* dqkv, bool accumulate) {
  Backward<S, W, Warps> queries(heads);
  int64_t piece = queries.piece;
  float lse[2] = {INFINITY, INFINITY}, delta[2] = {0, 0};
  for (int upper = 0; upper < 2; upper++) {
    int64_t token = queries.first + row_of_lane(upper);
    if (token >= heads.N) continue;
    lse[upper] = saved.lse[piece * heads.N + token];
    delta[upper] = saved.delta[piece * heads.N + token];
  }
  WarpRows<W> dq;
  dq.clear();
  queries.meet({heads.part(saved.qkv, piece, 0), heads.output(saved.dy, piece)},
               {heads.part(saved.qkv, piece, 1), heads.part(saved.qkv, piece, 2)},
               [&](const Step& keys) {
                 auto ds = queries.products(0, keys.a), slopes = queries.products(1, keys.b);
                 ds.each_with(slopes, [&](int upper, int j, float& s, float slope) {
                   float p = j < keys.left ? exponential(heads.scale * s - lse[upper]) : 0;
                   s = p * (slope - delta[upper]);
                 });
                 dq.template add_product<bf16>(ds, keys.a, queries.stride);
               });
  const float scales[2] = {heads.scale, heads.scale};
  queries.write(heads, dq, dqkv + heads.part_at(piece, 0), 3 * heads.D, scales, accumulate);
}

// dk and dv of a block of keys: Σ over queries of dsᵀ q and pᵀ dy. Beside two sums four warps, of
// which a thread holds twice as much of the next step as of eight, need more than 128 registers.
template <class S, int W, int Warps>
__global__ void __launch_bounds__(32 * Warps, least_blocks(W, Warps, Warps == 4 ? 12 : 16))
    flash_dkv_kernel(Heads heads, SavedAs<S> saved, S* dqkv, bool accumulate) {
  Backward<S, W, Warps> keys(heads);
  int64_t piece = keys.piece, row = piece * heads.N;
  WarpRows<W> dk, dv;
  dk.clear();
  dv.clear();
  keys.meet({heads.part(saved.qkv, piece, 1), heads.part(saved.qkv, piece, 2)},
            {heads.part(saved.qkv, piece, 0), heads.output(saved.dy, piece), saved.lse + row,
             saved.delta + row},
            [&](const Step& queries) {
              auto p = keys.products(0, queries.a), ds = keys.products(1, queries.b);
              p.each_with(ds, [&](int, int j, float& s, float& slope) {
                s = exponential(heads.scale * s - queries.lse[j]);
                slope = s * (slope - queries.delta[j]);
              });
              dv.template add_product<bf16>(p, queries.b, keys.stride);
              dk.template add_product<bf16>(ds, queries.a, keys.stride);
            });
  const float scales[2] = {heads.scale, heads.scale};
  keys.write(heads, dk, dqkv + heads.part_at(piece, 1), 3 * heads.D, scales, accumulate);
  keys.write(heads, dv, dqkv + heads.part_at(piece, 2), 3 * heads.D, {1, 1}, accumulate);
}

// Short sequences get half the warps: more of them share a processor.
template <class Body>
void with_block(const AttentionShape& s, const Body& body) {
  if (s.width > 64) return body.template operator()<128, 8>();
  s.N <= 64 ? body.template operator()<64, 4>() : body.template operator()<64, 8>();
}

template <class M>
Grid grid_of(const AttentionShape& s) {
  return {token_blocks(s, M::own_tokens), dim3(M::threads), M::bytes};
}

}  // namespace

bool flash_attention_fits(const Gpu& gpu, const AttentionShape& s) {
  size_t bytes = 0;
  with_block(s, [&]<int W, int Warps>() {
    bytes = std::max(Forward<float, W, Warps>::bytes, Backward<float, W, Warps>::bytes);
  });
  return gpu.precision() == Precision::BF16 && s.width <= 128 && s.width % 4 == 0 &&
         bytes <= gpu.shared_limit();
}

template <class S>
void flash_attention(Gpu& gpu, const AttentionShape& s, const S* qkv, S* y, float* lse) {
  with_block(s, [&]<int W, int Warps>() {
    GPU_LAUNCH(gpu, (flash_forward_kernel<S, W, Warps>), (grid_of<Forward<S, W, Warps>>(s)),
               Heads(s), qkv, y, lse);
  });
}

template <class S>
void flash_attention_back(Gpu& gpu, const AttentionShape& s, const SavedAs<S>& saved, S* dqkv,
                          bool accumulate) {
  with_block(s, [&]<int W, int Warps>() {
    Grid grid = grid_of<Backward<S, W, Warps>>(s);
    GPU_LAUNCH(gpu, (flash_dq_kernel<S, W, Warps>), grid, Heads(s), saved, dqkv, accumulate);
    GPU_LAUNCH(gpu, (flash_dkv_kernel<S, W, Warps>), grid, Heads(s), saved, dqkv, accumulate);
  });
}

template void flash_attention(Gpu&, const AttentionShape&, const float*, float*, float*);
template void flash_attention(Gpu&, const AttentionShape&, const bf16*, bf16*, float*);
template void flash_attention_back(Gpu&, const AttentionShape&, const Saved&, float*, bool);
template void flash_attention_back(Gpu&, const AttentionShape&, const SavedAs<bf16>&, bf16*, bool);

}  // namespace protea::gpu
