#include "attention.cuh"

namespace protea {
namespace {

using gpu::block_tokens;
using gpu::Heads;
using gpu::load_tile;
using gpu::Tile;
using gpu::tile_stride;
using gpu::View;

// Scores and probabilities of one block of queries and one of keys.
template <class T>
using Square = Tile<T, 4, 4>;
constexpr int score_stride = block_tokens + 1;

// Shared memory of the kernels below, W being the width of a head rounded up.
template <class T, int W>
struct Layout {
  static constexpr int stride = tile_stride<T>(W);                    // rows of q, k, v
  static constexpr int turned_stride = tile_stride<T>(block_tokens);  // rows of p, vᵀ
  static constexpr int operand = block_tokens * stride;
  static constexpr int turned = W * turned_stride, square = block_tokens * turned_stride;
};

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

// Block (x, y): queries 64 x ... of (image, head) y.
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
  int64_t query = static_cast<int64_t>(blockIdx.x) * block_tokens, piece = blockIdx.y;
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

// delta (B, heads, N) = Σ_d dy y: what the rows of dP are shifted by.
__global__ void delta_kernel(Heads heads, const float* y, const float* dy, float* delta,
                             int64_t rows) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  int64_t row = i < rows ? i : 0, piece = row / heads.N, token = row % heads.N;
  View values = heads.output(y, piece), slopes = heads.output(dy, piece);
  float sum = 0;
  for (int64_t d = gpu::lane_index(); d < heads.width; d += 32)
    sum += values.at(token, d) * slopes.at(token, d);
  sum = gpu::warp_sum(sum);
  if (i < rows && gpu::lane_index() == 0) delta[i] = sum;
}

struct Saved {
  const float *qkv, *lse, *delta, *dy;
};

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

// dq of one block of queries: Σ over keys of ds k.
template <class T, int W>
__global__ void __launch_bounds__(gpu::tile_threads)
    dq_kernel(Heads heads, Saved saved, float* dqkv, bool accumulate) {
  using L = Layout<T, W>;
  gpu::Carver carver;
  T* q = carver.take<T>(L::operand);
  T* dy = carver.take<T>(L::operand);
  T* k = carver.take<T>(L::operand);
  T* v = carver.take<T>(L::operand);
  T* turned_k = carver.take<T>(L::turned);
  T* ds = carver.take<T>(L::square);
  int64_t query = static_cast<int64_t>(blockIdx.x) * block_tokens, piece = blockIdx.y;
  View keys = heads.part(saved.qkv, piece, 1);
  load_tile<block_tokens, W>(q, L::stride, heads.part(saved.qkv, piece, 0), query, 0);
  load_tile<block_tokens, W>(dy, L::stride, heads.output(saved.dy, piece), query, 0);
  Tile<T, 4, W / 16> dq;
  dq.clear();
  for (int64_t key = 0; key < heads.N; key += block_tokens) {
    load_tile<block_tokens, W>(k, L::stride, keys, key, 0);
    load_tile<block_tokens, W>(v, L::stride, heads.part(saved.qkv, piece, 2), key, 0);
    load_tile<W, block_tokens>(turned_k, L::turned_stride, gpu::transposed(keys), 0, key);
    __syncthreads();
    Square<T> products, slopes;
    products.clear();
    slopes.clear();
    products.multiply(q, L::stride, k, L::stride, W);
    slopes.multiply(dy, L::stride, v, L::stride, W);
    float slope_of[16];
    int n = 0;
    slopes.each([&](int, int, float s) { slope_of[n++] = s; });
    n = 0;
    products.each([&](int i, int j, float s) {
      float p, d;
      probability<false>(heads, saved, piece, query + i, key + j, s, slope_of[n++], &p, &d);
      ds[i * L::turned_stride + j] = gpu::rounded<T>(d);
    });
    __syncthreads();
    dq.multiply(ds, L::turned_stride, turned_k, L::turned_stride, block_tokens);
    __syncthreads();
  }
  View to = heads.part(dqkv, piece, 0);
  dq.each([&](int i, int j, float value) {
    if (query + i < heads.N && j < heads.width)
      gpu::put(dqkv, to.data - dqkv + (query + i) * to.row + j, value, accumulate);
  });
}

// dk and dv of one block of keys: Σ over queries of dsᵀ q and pᵀ dy.
template <class T, int W>
__global__ void __launch_bounds__(gpu::tile_threads)
    dkv_kernel(Heads heads, Saved saved, float* dqkv, bool accumulate) {
  using L = Layout<T, W>;
  gpu::Carver carver;
  T* k = carver.take<T>(L::operand);
  T* v = carver.take<T>(L::operand);
  T* q = carver.take<T>(L::operand);
  T* dy = carver.take<T>(L::operand);
  T* turned = carver.take<T>(L::turned);
  T* square = carver.take<T>(L::square);
  int64_t key = static_cast<int64_t>(blockIdx.x) * block_tokens, piece = blockIdx.y;
  View queries = heads.part(saved.qkv, piece, 0), slopes = heads.output(saved.dy, piece);
  load_tile<block_tokens, W>(k, L::stride, heads.part(saved.qkv, piece, 1), key, 0);
  load_tile<block_tokens, W>(v, L::stride, heads.part(saved.qkv, piece, 2), key, 0);
  Tile<T, 4, W / 16> dk, dv;
  dk.clear();
  dv.clear();
  for (int64_t query = 0; query < heads.N; query += block_tokens) {
    load_tile<block_tokens, W>(q, L::stride, queries, query, 0);
    load_tile<block_tokens, W>(dy, L::stride, slopes, query, 0);
    load_tile<W, block_tokens>(turned, L::turned_stride, gpu::transposed(slopes), 0, query);
    __syncthreads();
    Square<T> products, upstream;
    products.clear();
    upstream.clear();
    products.multiply(k, L::stride, q, L::stride, W);
    upstream.multiply(v, L::stride, dy, L::stride, W);
    float ds_of[16];
    int n = 0;
    upstream.each([&](int, int, float s) { ds_of[n++] = s; });
    n = 0;
    products.each([&](int i, int j, float s) {
      float p, ds;
      probability<true>(heads, saved, piece, key + i, query + j, s, ds_of[n], &p, &ds);
      ds_of[n++] = ds;
      square[i * L::turned_stride + j] = gpu::rounded<T>(p);
    });
    __syncthreads();
    dv.multiply(square, L::turned_stride, turned, L::turned_stride, block_tokens);
    __syncthreads();
    n = 0;
    products.each([&](int i, int j, float) {
      square[i * L::turned_stride + j] = gpu::rounded<T>(ds_of[n++]);
    });
    load_tile<W, block_tokens>(turned, L::turned_stride, gpu::transposed(queries), 0, query);
    __syncthreads();
    dk.multiply(square, L::turned_stride, turned, L::turned_stride, block_tokens);
    __syncthreads();
  }
  View to = heads.part(dqkv, piece, 1);
  auto place = [&](int i, int j) { return to.data - dqkv + (key + i) * to.row + j; };
  dk.each([&](int i, int j, float value) {
    if (key + i < heads.N && j < heads.width) gpu::put(dqkv, place(i, j), value, accumulate);
  });
  dv.each([&](int i, int j, float value) {
    if (key + i < heads.N && j < heads.width)
      gpu::put(dqkv, place(i, j) + heads.D, value, accumulate);
  });
}

dim3 blocks_of(const AttentionShape& s) {
  return dim3(static_cast<unsigned>((s.N + block_tokens - 1) / block_tokens),
              static_cast<unsigned>(s.pieces()));
}

template <class T, int W>
void forward_of(const Run& run, const AttentionShape& s) {
  using L = Layout<T, W>;
  size_t shared = 2 * gpu::carved<T>(L::operand) + gpu::carved<T>(L::turned) +
                  gpu::carved<T>(L::square) + gpu::carved<float>(block_tokens * score_stride);
  gpu::Grid grid{blocks_of(s), dim3(gpu::tile_threads), shared};
  GPU_LAUNCH(Gpu::of(run), (forward_kernel<T, W>), grid, Heads(s), run.in[0].as<float>(),
             run.out[0].as<float>(), run.out[1].as<float>());
}

template <class T, int W>
void backward_of(const Run& run, const AttentionShape& s) {
  using L = Layout<T, W>;
  Gpu& gpu = Gpu::of(run);
  const Gradient& dqkv = run.din[0];
  int64_t rows = s.pieces() * s.N;
  float* delta = gpu.scratch<float>(0, rows);
  Saved saved{run.in[0].as<float>(), run.out[1].as<float>(), delta, run.dout[0].as<float>()};
  GPU_LAUNCH(gpu, delta_kernel, gpu::Grid{dim3(static_cast<unsigned>((rows + 7) / 8)), dim3(256)},
             Heads(s), run.out[0].as<float>(), saved.dy, delta, rows);
  size_t shared =
      4 * gpu::carved<T>(L::operand) + gpu::carved<T>(L::turned) + gpu::carved<T>(L::square);
  gpu::Grid grid{blocks_of(s), dim3(gpu::tile_threads), shared};
  GPU_LAUNCH(gpu, (dq_kernel<T, W>), grid, Heads(s), saved, dqkv.as<float>(), dqkv.accumulate);
  GPU_LAUNCH(gpu, (dkv_kernel<T, W>), grid, Heads(s), saved, dqkv.as<float>(), dqkv.accumulate);
}

template <class T>
void forward_in(const Run& run, const AttentionShape& s) {
  s.width <= 64 ? forward_of<T, 64>(run, s) : forward_of<T, 128>(run, s);
}

template <class T>
void backward_in(const Run& run, const AttentionShape& s) {
  s.width <= 64 ? backward_of<T, 64>(run, s) : backward_of<T, 128>(run, s);
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
  bool exact = Gpu::of(run).precision() == Precision::F32;
  exact ? forward_in<float>(run, s) : forward_in<gpu::bf16>(run, s);
}

void backward(const Run& run) {
  AttentionShape s = shape_of(run);
  if (!run.din[0] || s.pieces() == 0) return;
  bool exact = Gpu::of(run).precision() == Precision::F32;
  exact ? backward_in<float>(run, s) : backward_in<gpu::bf16>(run, s);
}

}  // namespace

extern const Kernel attention_cuda = {forward, backward};

}  // namespace protea
