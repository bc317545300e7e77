#include "../cuda/rows.cuh"
#include "attention.cuh"

namespace protea {
namespace {

using gpu::block_tokens;
using gpu::Heads;

constexpr int stride = gpu::tile_stride<float>(gpu::most_width);

// Block (x, y): scores of the x-th block of queries and keys 64 y ...
__global__ void __launch_bounds__(gpu::tile_threads)
    score_kernel(Heads heads, const float* qkv, float* scores) {
  gpu::Carver carver;
  float* q = carver.take<float>(block_tokens * stride);
  float* k = carver.take<float>(block_tokens * stride);
  gpu::TokenBlock block = gpu::token_block(heads, block_tokens);
  int64_t piece = block.piece, query = block.first;
  int64_t key = static_cast<int64_t>(blockIdx.y) * block_tokens;
  gpu::load_tile<block_tokens, gpu::most_width>(q, stride, heads.part(qkv, piece, 0), query, 0);
  gpu::load_tile<block_tokens, gpu::most_width>(k, stride, heads.part(qkv, piece, 1), key, 0);
  __syncthreads();
  gpu::Tile<float, 4, 4> product;
  product.clear();
  product.multiply(q, stride, k, stride, gpu::most_width);
  product.each([&](int i, int j, float s) {
    if (query + i < heads.N && key + j < heads.N)
      scores[(piece * heads.N + query + i) * heads.N + key + j] = heads.scale * s;
  });
}

template <bool whole_block>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>)
    softmax_kernel(int64_t rows, int64_t N, float* p) {
  gpu::RowTeam<whole_block> team(rows);
  float* row = p + team.row * N;
  float most = -INFINITY, sum = 0;
  for (int64_t n = team.index; team.inside && n < N; n += team.size) most = fmaxf(most, row[n]);
  most = team.max(most);
  for (int64_t n = team.index; team.inside && n < N; n += team.size) sum += expf(row[n] - most);
  sum = team.sum(sum);
  for (int64_t n = team.index; team.inside && n < N; n += team.size)
    row[n] = expf(row[n] - most) / sum;
}

void forward(const Run& run) {
  AttentionShape s(run.in[0].shape, run.attrs);
  check(s.width <= gpu::most_width, Code::Unsupported,
        "[attention_probabilities] heads wider than ", gpu::most_width,
        " have no cuda kernel, got ", s.width);
  if (s.pieces() == 0) return;
  dim3 blocks = gpu::token_blocks(s, block_tokens);
  blocks.y = static_cast<unsigned>(ceil_div(s.N, block_tokens));
  gpu::Grid grid{blocks, dim3(gpu::tile_threads), 2 * gpu::carved<float>(block_tokens * stride)};
  GPU_LAUNCH(Gpu::of(run), score_kernel, grid, Heads(s), run.in[0].as<float>(),
             run.out[0].as<float>());
  GPU_LAUNCH_ROWS(Gpu::of(run), softmax_kernel, s.pieces() * s.N, s.N, run.out[0].as<float>());
}

}  // namespace

extern const Kernel attention_probabilities_cuda = {forward, nullptr};

}  // namespace protea
