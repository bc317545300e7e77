#include "attention_backward.cuh"

namespace protea {
namespace {

using gpu::block_tokens;
using gpu::Heads;
using gpu::Layout;
using gpu::load_tile;
using gpu::Saved;
using gpu::score_stride;
using gpu::Square;
using gpu::Tile;
using gpu::View;

// The online softmax of a row: its largest score so far and the sum of e^(score - largest).
struct Running {
  float top, sum;
};

// Scores (64, 64) in shared memory become probabilities relative to the row's running top; returns,
// by lane 0 of each row's warp, what older sums must be multiplied by. A warp takes eight rows.
template <class T>
GPU_DEVICE void soften(float* scores, T* p, int p_stride, Running* running, float* shrink,
                       int64_t keys) {
  int lane = gpu::lane_index();
  for (int r = gpu::warp_index(); r < block_tokens; r += gpu::tile_threads / 32) {
    float* row = scores + r * score_stride;
    float a = lane < keys ? row[lane] : -INFINITY;
    float b = lane + 32 < keys ? row[lane + 32] : -INFINITY;
    float top = fmaxf(running[r].top, gpu::warp_max(fmaxf(a, b)));
    float first = expf(a - top), second = expf(b - top);
    float sum = gpu::warp_sum(first + second);
    p[r * p_stride + lane] = gpu::rounded<T>(first);
    p[r * p_stride + lane + 32] = gpu::rounded<T>(second);
    __syncwarp();
    if (lane > 0) continue;
    shrink[r] = expf(running[r].top - top);
    running[r] = {top, running[r].sum * shrink[r] + sum};
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
  if (threadIdx.x < block_tokens) running[threadIdx.x] = {-INFINITY, 0};
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
  View to = heads.output(y, piece);
  output.each([&](int i, int j, float o) {
    if (query + i < heads.N && j < heads.width)
      y[to.data - y + (query + i) * to.row + j] = o / running[i].sum;
  });
  int64_t row = query + threadIdx.x;
  if (threadIdx.x < block_tokens && row < heads.N)
    lse[piece * heads.N + row] = running[threadIdx.x].top + logf(running[threadIdx.x].sum);
}

template <class T, int W>
void forward_of(const Run& run, const AttentionShape& s) {
  using L = Layout<T, W>;
  size_t shared = 2 * gpu::carved<T>(L::operand) + gpu::carved<T>(L::turned) +
                  gpu::carved<T>(L::square) + gpu::carved<float>(block_tokens * score_stride);
  gpu::Grid grid{gpu::token_blocks(s, block_tokens), dim3(gpu::tile_threads), shared};
  GPU_LAUNCH(Gpu::of(run), (forward_kernel<T, W>), grid, Heads(s), run.in[0].as<float>(),
             run.out[0].as<float>(), run.out[1].as<float>());
}

template <class T, int W>
void backward_of(Gpu& gpu, const AttentionShape& s, const Saved& saved, const Gradient& dqkv) {
  gpu::Grid grid{gpu::token_blocks(s, block_tokens), dim3(gpu::tile_threads),
                 gpu::Backward<T, W, false>::bytes};
  GPU_LAUNCH(gpu, (gpu::dq_kernel<T, W>), grid, Heads(s), saved, dqkv.as<float>(), dqkv.accumulate);
  GPU_LAUNCH(gpu, (gpu::dkv_kernel<T, W>), grid, Heads(s), saved, dqkv.as<float>(),
             dqkv.accumulate);
}

template <class T>
void forward_in(const Run& run, const AttentionShape& s) {
  s.width <= 64 ? forward_of<T, 64>(run, s) : forward_of<T, 128>(run, s);
}

template <class T>
void backward_in(Gpu& gpu, const AttentionShape& s, const Saved& saved, const Gradient& dqkv) {
  s.width <= 64 ? backward_of<T, 64>(gpu, s, saved, dqkv)
                : backward_of<T, 128>(gpu, s, saved, dqkv);
}

AttentionShape shape_of(const Run& run) {
  AttentionShape s(run.in[0].shape, run.attrs);
  check(s.width <= gpu::most_width, Code::Unsupported, "[attention] heads wider than ",
        gpu::most_width, " have no cuda kernel, got ", s.width);
  return s;
}

void forward(const Run& run) {
  AttentionShape s = shape_of(run);
  if (s.pieces() == 0) return;
  Gpu& gpu = Gpu::of(run);
  if (gpu::flash_attention_fits(gpu, s))
    gpu::flash_attention(gpu, s, run.in[0].as<float>(), run.out[0].as<float>(),
                         run.out[1].as<float>());
  else if (gpu.precision() == Precision::F32)
    forward_in<float>(run, s);
  else
    forward_in<gpu::bf16>(run, s);
}

void backward(const Run& run) {
  AttentionShape s = shape_of(run);
  const Gradient& dqkv = run.din[0];
  if (!dqkv || s.pieces() == 0) return;
  Gpu& gpu = Gpu::of(run);
  int64_t rows = s.pieces() * s.N;
  float* delta = gpu.scratch<float>(0, rows);
  Saved saved{run.in[0].as<float>(), run.out[1].as<float>(), delta, run.dout[0].as<float>()};
  gpu::Grid warps{dim3(static_cast<unsigned>((rows + 7) / 8)), dim3(256)};
  GPU_LAUNCH(gpu, gpu::delta_kernel, warps, Heads(s), run.out[0].as<float>(), saved.dy, delta,
             rows);
  if (gpu::flash_attention_fits(gpu, s))
    gpu::flash_attention_back(gpu, s, saved, dqkv.as<float>(), dqkv.accumulate);
  else if (gpu.precision() == Precision::F32)
    backward_in<float>(gpu, s, saved, dqkv);
  else
    backward_in<gpu::bf16>(gpu, s, saved, dqkv);
}

}  // namespace

extern const Kernel attention_cuda = {forward, backward};

}  // namespace protea
