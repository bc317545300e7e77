#include "log_sums.h"

#include "flash.cuh"

namespace protea::gpu {
namespace {

// Block (x, y): 64 rows over the y-th part of the prototypes; leaves their running softmax, valued
// by `values` (K) unless null.
template <class T>
__global__ void __launch_bounds__(tile_threads)
    log_sum_kernel(Logits logits, const float* values, int64_t part, Running* partial) {
  GPU_SHARED(T, left, [operand_size<T>()]);
  GPU_SHARED(T, right, [operand_size<T>()]);
  GPU_SHARED(float, scores, [tile_rows * score_stride]);
  GPU_SHARED(Running, running, [tile_rows]);
  int64_t row = static_cast<int64_t>(blockIdx.x) * tile_rows;
  int64_t K = logits.w.rows, begin = blockIdx.y * part, end = begin + part < K ? begin + part : K;
  if (threadIdx.x < tile_rows) running[threadIdx.x] = empty_running();
  for (int64_t k = begin; k < end; k += tile_rows) {
    Tile<T, 4, 4> product;
    multiply_rows(product, logits.z, row, logits.w, k, left, right);
    product.each([&](int i, int j, float s) {
      scores[i * score_stride + j] = k + j < K ? logits.at(s, k + j) : 0;
    });
    __syncthreads();
    for (int r = warp_index(); r < tile_rows; r += tile_threads / 32)
      take_row<T>(scores + r * score_stride, end - k, values ? values + k : nullptr, running[r],
                  nullptr);
    __syncthreads();
  }
  if (threadIdx.x < tile_rows && row + threadIdx.x < logits.z.rows)
    partial[blockIdx.y * logits.z.rows + row + threadIdx.x] = running[threadIdx.x];
}

// sum[r] = sign log Σ_k e^logit_rk, or Σ_k p_rk value_k when `mean`. A thread a row, or a warp: few
// rows are cut into many parts.
template <int team>
__global__ void join_kernel(const Running* partial, int64_t parts, int64_t rows, float sign,
                            bool mean, float* sum) {
  int64_t n = first_index() / team, r = n < rows ? n : 0, first = first_index() % team;
  float top = -INFINITY, total = 0, valued = 0;
  for (int64_t p = first; p < parts; p += team) top = fmaxf(top, partial[p * rows + r].top);
  if (team > 1) top = warp_max(top);
  for (int64_t p = first; p < parts; p += team) {
    float share = shrinkage(partial[p * rows + r].top, top);
    total += partial[p * rows + r].sum * share;
    valued += partial[p * rows + r].valued * share;
  }
  if (team > 1) {
    total = warp_sum(total);
    valued = warp_sum(valued);
  }
  if (n < rows && first == 0) sum[r] = sign * (mean ? valued / total : top + logf(total));
}

// The same with operands rounded once and logits in registers. Block (x, y): 128 rows.
template <int W>
__global__ void __launch_bounds__(tile_threads)
    flash_log_sum_kernel(Logits logits, const bf16* own, const bf16* other, const float* values,
                         int64_t part, Running* partial) {
  Flash<W> flash(1);
  int64_t row = static_cast<int64_t>(blockIdx.x) * flash_rows, rows = logits.z.rows;
  int64_t K = logits.w.rows, begin = blockIdx.y * part, end = begin + part < K ? begin + part : K;
  TwoRows two;
  flash.fetch_own(own + row * W);
  auto fetch = [&](int64_t k, int stage) { flash.fetch_step(flash.step(stage), other + k * W); };
  in_stages(begin, end, flash_columns, fetch, [&](int64_t k, int stage) {
    Columns<flash_columns> bias(logits.bias ? logits.bias + k : nullptr, end - k, -INFINITY);
    WarpRows<flash_columns> found = flash.products(flash.step(stage));
    found.each([&](int, int j, float& s) { s = logits.scale * s + bias.of(j); });
    if (values)
      two.take(found, Columns<flash_columns>(values + k, end - k, 0));
    else
      two.take(found);
  });
  two.leave(partial + blockIdx.y * rows + row, rows - row);
}

}  // namespace

LogSums::LogSums(Gpu& gpu, const Logits& logits, int64_t sums)
    : gpu_(gpu),
      logits_(logits),
      kept_(sums > 1 ? keep_products(gpu, 6, logits) : KeptProducts{}),
      flash_(!kept_.data && flash_fits(gpu, logits.z.depth, 1)),
      z_(side(logits.z, 6, nullptr)),
      w_(side(logits.w, 7, ready_for_flash(logits))) {}

LogSums::Side LogSums::side(const View& rows, int slot, const bf16* ready) const {
  if (!flash_ || ready) return {rows, flash_ ? ready : nullptr};
  bf16* rounded = gpu_.scratch<bf16>(slot, flash_size(rows));
  round_for_flash(gpu_, rows, rounded);
  return {rows, rounded};
}

void LogSums::sums(const Side& own, const Side& other, const float* bias, const float* values,
                   float sign, float* sum) const {
  Logits logits = logits_;
  logits.z = own.rows;
  logits.w = other.rows;
  logits.bias = bias;
  int64_t rows = own.rows.rows, height = flash_ ? flash_rows : tile_rows;
  if (rows == 0) return;
  int64_t tiles = ceil_div(rows, height);
  int64_t part = part_size(gpu_, tiles * tile_rows, other.rows.rows);
  int64_t parts = ceil_div(other.rows.rows, part);
  Running* partial = gpu_.scratch<Running>(Gpu::log_sums_slot, parts * rows);
  Grid grid{dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(parts)), dim3(tile_threads)};
  if (flash_)
    with_flash_width(own.rows.depth, [&]<int W>() {
      grid.shared = Flash<W>::bytes(1);
      GPU_LAUNCH(gpu_, flash_log_sum_kernel<W>, grid, logits, own.rounded, other.rounded, values,
                 part, partial);
    });
  else if (gpu_.precision() == Precision::F32)
    GPU_LAUNCH(gpu_, log_sum_kernel<float>, grid, logits, values, part, partial);
  else
    GPU_LAUNCH(gpu_, log_sum_kernel<bf16>, grid, logits, values, part, partial);
  join(partial, parts, rows, sign, values != nullptr, sum);
}

void LogSums::join(const Running* partial, int64_t parts, int64_t rows, float sign, bool mean,
                   float* sum) const {
  constexpr int64_t every = INT64_MAX;  // a thread for each, however many
  if (parts > 8)
    GPU_LAUNCH(gpu_, join_kernel<32>, cover(32 * rows, 256, every), partial, parts, rows, sign,
               mean, sum);
  else
    GPU_LAUNCH(gpu_, join_kernel<1>, cover(rows, 256, every), partial, parts, rows, sign, mean,
               sum);
}

void LogSums::over_prototypes(const float* bias, float sign, float* sum) const {
  if (!kept_.data) return sums(z_, w_, bias, nullptr, sign, sum);
  int64_t part = part_size(gpu_, kept_.rows * tile_rows, kept_.K);
  int64_t parts = ceil_div(kept_.K, part);
  Running* partial = gpu_.scratch<Running>(Gpu::log_sums_slot, parts * kept_.rows);
  row_parts(gpu_, kept_, bias, part, partial);
  join(partial, parts, kept_.rows, sign, false, sum);
}

void LogSums::over_rows(const float* bias, float sign, float* sum) const {
  if (!kept_.data) return sums(w_, z_, bias, nullptr, sign, sum);
  Running* partial = gpu_.scratch<Running>(Gpu::log_sums_slot, kept_.K);
  column_parts(gpu_, kept_, bias, partial);
  join(partial, 1, kept_.K, sign, false, sum);
}

void LogSums::row_means(const float* values, float* mean) const {
  sums(z_, w_, logits_.bias, values, 1, mean);
}

}  // namespace protea::gpu
