#include "../cuda/map.cuh"
#include "../cuda/stored.cuh"
#include "attention_backward.cuh"

namespace protea {
namespace {

using gpu::block_tokens;
using gpu::Heads;
using gpu::Layout;
using gpu::load_tile;
using gpu::Running;
using gpu::Saved;
using gpu::score_stride;
using gpu::Square;
using gpu::Tile;
using gpu::View;

// Scores (64, 64) in shared memory become probabilities relative to the row's running top; returns,
// by lane 0 of each row's warp, what older sums must be multiplied by. A warp takes eight rows.
template <class T>
GPU_DEVICE void soften(const float* scores, T* p, int p_stride, Running* running, float* shrink,
                       int64_t keys) {
  for (int r = gpu::warp_index(); r < block_tokens; r += gpu::tile_threads / 32) {
    const float* row = scores + r * score_stride;
    float factor = gpu::take_row(row, keys, nullptr, running[r], p + r * p_stride);
    if (gpu::lane_index() == 0) shrink[r] = factor;
  }
}

// One block of queries.
template <class T, int W>
__global__ void __launch_bounds__(gpu::tile_threads)
    forward_kernel(Heads heads, const float* qkv, float* y, float* lse) {
  using L = Layout<T, W>;
  gpu::Carver carver;
  T* q = carver.take<T>(L::operand);
  T* k = carver.take<T>(L::operand);
  T* v = carver.take<T>(L::turned);
  T* p = carver.take<T>(L::square);
  float* scores = carver.take<float>(block_tokens * score_stride);
  GPU_SHARED(Running, running, [block_tokens]);
  GPU_SHARED(float, shrink, [block_tokens]);
  gpu::TokenBlock block = gpu::token_block(heads, block_tokens);
  int64_t piece = block.piece, query = block.first;
  View values = gpu::transposed(heads.part(qkv, piece, 2));
  load_tile<block_tokens, W>(q, L::stride, heads.part(qkv, piece, 0), query, 0);
  if (threadIdx.x < block_tokens) running[threadIdx.x] = gpu::empty_running();
  Tile<T, 4, W / 16> output;
  output.clear();
  for (int64_t key = 0; key < heads.N; key += block_tokens) {
    load_tile<block_tokens, W>(k, L::stride, heads.part(qkv, piece, 1), key, 0);
    load_tile<W, block_tokens>(v, L::turned_stride, values, 0, key);
    __syncthreads();
    Square<T> square;
    square.clear();
    square.multiply(q, L::stride, k, L::stride, W);
    square.each([&](int i, int j, float s) { scores[i * score_stride + j] = heads.scale * s; });
    __syncthreads();
    soften(scores, p, L::turned_stride, running, shrink, heads.N - key);
    __syncthreads();
    output.each([&](int i, int, float& o) { o *= shrink[i]; });
    output.multiply(p, L::turned_stride, v, L::turned_stride, block_tokens);
    __syncthreads();
  }
  float* to = y + heads.output_at(piece);
  output.each([&](int i, int j, float o) {
    if (query + i < heads.N && j < heads.width) to[(query + i) * heads.D + j] = o / running[i].sum;
  });
  int64_t row = query + threadIdx.x;
  if (threadIdx.x < block_tokens && row < heads.N)
    lse[piece * heads.N + row] = running[threadIdx.x].top + logf(running[threadIdx.x].sum);
}

template <class T, int W>
void forward_of(Gpu& gpu, const AttentionShape& s, const float* qkv, float* y, float* lse) {
  using L = Layout<T, W>;
  size_t shared = 2 * gpu::carved<T>(L::operand) + gpu::carved<T>(L::turned) +
                  gpu::carved<T>(L::square) + gpu::carved<float>(block_tokens * score_stride);
  gpu::Grid grid{gpu::token_blocks(s, block_tokens), dim3(gpu::tile_threads), shared};
  GPU_LAUNCH(gpu, (forward_kernel<T, W>), grid, Heads(s), qkv, y, lse);
}

template <class T, int W>
void backward_of(Gpu& gpu, const AttentionShape& s, const Saved& saved, float* dqkv,
                 bool accumulate) {
  gpu::Grid grid{gpu::token_blocks(s, block_tokens), dim3(gpu::tile_threads),
                 gpu::Backward<T, W, false>::bytes};
  GPU_LAUNCH(gpu, (gpu::dq_kernel<T, W>), grid, Heads(s), saved, dqkv, accumulate);
  GPU_LAUNCH(gpu, (gpu::dkv_kernel<T, W>), grid, Heads(s), saved, dqkv, accumulate);
}

// Calls body.operator()<T, W>(): what products are computed in, and the width rounded up.
template <class Body>
void with_tiles(const Gpu& gpu, const AttentionShape& s, const Body& body) {
  auto of_width = [&]<class T>() {
    s.width <= 64 ? body.template operator()<T, 64>() : body.template operator()<T, 128>();
  };
  gpu.precision() == Precision::F32 ? of_width.template operator()<float>()
                                    : of_width.template operator()<gpu::bf16>();
}

AttentionShape shape_of(const Run& run) {
  AttentionShape s(run.in[0].shape, run.attrs);
  check(s.width <= gpu::most_width, Code::Unsupported, "[attention] heads wider than ",
        gpu::most_width, " have no cuda kernel, got ", s.width);
  return s;
}

// The tiles know f32 alone: what is stored in bf16 goes through working memory.
float* widened(Gpu& gpu, int slot, const Array& array) {
  if (array.dtype == Dtype::F32) return array.as<float>();
  float* to = gpu.scratch<float>(slot, array.size());
  gpu::store(gpu, gpu::Same{array.as<gpu::bf16>()}, to, array.size());
  return to;
}

void narrow(Gpu& gpu, const float* from, const Array& to, bool accumulate = false) {
  if (to.dtype == Dtype::BF16)
    gpu::store(gpu, gpu::Same{from}, to.as<gpu::bf16>(), to.size(), accumulate);
}

void forward(const Run& run) {
  AttentionShape s = shape_of(run);
  if (s.pieces() == 0) return;
  Gpu& gpu = Gpu::of(run);
  const Array &qkv = run.in[0], &y = run.out[0];
  float* lse = run.out[1].as<float>();
  if (gpu::flash_attention_fits(gpu, s))
    return gpu::with_stored(
        qkv, [&]<class S>() { gpu::flash_attention<S>(gpu, s, qkv.as<S>(), y.as<S>(), lse); });
  const float* wide = widened(gpu, 1, qkv);
  float* to = y.dtype == Dtype::F32 ? y.as<float>() : gpu.scratch<float>(2, y.size());
  with_tiles(gpu, s, [&]<class T, int W>() { forward_of<T, W>(gpu, s, wide, to, lse); });
  narrow(gpu, to, y);
}

template <class S>
void find_delta(Gpu& gpu, const Run& run, const AttentionShape& s, float* delta) {
  int64_t rows = s.pieces() * s.N;
  gpu::Grid warps = gpu::a_warp_each(rows);
  GPU_LAUNCH(gpu, gpu::delta_kernel<S>, warps, Heads(s), run.out[0].as<S>(), run.dout[0].as<S>(),
             delta, rows);
}

void back_by_tiles(Gpu& gpu, const Run& run, const AttentionShape& s, const float* delta) {
  const Gradient& dqkv = run.din[0];
  bool half = dqkv.array.dtype == Dtype::BF16;
  Saved saved{widened(gpu, 1, run.in[0]), run.out[1].as<float>(), delta,
              widened(gpu, 2, run.dout[0])};
  float* to = half ? gpu.scratch<float>(3, dqkv.array.size()) : dqkv.as<float>();
  with_tiles(gpu, s, [&]<class T, int W>() {
    backward_of<T, W>(gpu, s, saved, to, dqkv.accumulate && !half);
  });
  narrow(gpu, to, dqkv.array, dqkv.accumulate);
}

void backward(const Run& run) {
  AttentionShape s = shape_of(run);
  const Gradient& dqkv = run.din[0];
  if (!dqkv || s.pieces() == 0) return;
  Gpu& gpu = Gpu::of(run);
  float* delta = gpu.scratch<float>(0, s.pieces() * s.N);
  gpu::with_stored(run.in[0], [&]<class S>() {
    find_delta<S>(gpu, run, s, delta);
    if (!gpu::flash_attention_fits(gpu, s)) return back_by_tiles(gpu, run, s, delta);
    gpu::SavedAs<S> saved{run.in[0].as<S>(), run.out[1].as<float>(), delta, run.dout[0].as<S>()};
    gpu::flash_attention_back<S>(gpu, s, saved, dqkv.as<S>(), dqkv.accumulate);
  });
}

}  // namespace

extern const Kernel attention_cuda = {forward, backward};

}  // namespace protea
