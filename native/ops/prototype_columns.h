#pragma once
// Sums of e^logit over rows or over columns, block by block of prototypes, for the statistics of a
// batch: the marginal, Sinkhorn-Knopp. Nothing of size rows x K is kept.
#include <vector>

#include "../core/scratch.h"
#include "prototype_blocks.h"

namespace protea {

// log Σ_k e^(logit_rk) for each row r.
template <class T>
std::vector<T> row_log_sums(const PrototypeBlocks& blocks, const LogitRows<T>& logits) {
  int64_t R = logits.rows;
  std::vector<RunningSoftmax<T>> partial(blocks.pieces * R);
  parallel_for(blocks.count, blocks.per_piece, [&](int64_t begin, int64_t end) {
    RunningSoftmax<T>* running = partial.data() + begin / blocks.per_piece * R;
    T* tile = scratch<T>(0, R * blocks.size);
    for (int64_t block = begin; block < end; block++) {
      logits.products(blocks, block, tile);
      for (int64_t r = 0; r < R; r++)
        running[r].take(blocks.width(block), logits.inverse_temperature,
                        logits.bias_of(blocks, block), tile + r * blocks.size);
    }
  });
  std::vector<T> result(R);
  for (int64_t r = 0; r < R; r++) {
    T top = -std::numeric_limits<T>::infinity();
    for (int64_t p = 0; p < blocks.pieces; p++) top = std::max(top, partial[p * R + r].top);
    double sum = 0;
    for (int64_t p = 0; p < blocks.pieces; p++) {
      const RunningSoftmax<T>& part = partial[p * R + r];
      sum += part.sum * std::exp(static_cast<double>(part.top) - top);
    }
    result[r] = top + static_cast<T>(std::log(sum));
  }
  return result;
}

// log Σ_r e^(z_r · w_k / temperature + row_bias_r) for the prototypes of one block, its bias left
// out; `tile` holds the products, `sum` and `top` have room for a block.
template <class T>
void block_log_sums(int64_t n, int64_t stride, const LogitRows<T>& logits, const T* row_bias,
                    T* tile, T* top, T* sum, T* out) {
  std::fill_n(top, n, -std::numeric_limits<T>::infinity());
  std::fill_n(sum, n, T(0));
  rows<T>().columns_affine_largest(logits.rows, n, stride, logits.inverse_temperature, row_bias,
                                   tile, top);
  rows<T>().columns_exp_sum(logits.rows, n, stride, top, tile, sum);
  for (int64_t k = 0; k < n; k++) out[k] = top[k] + std::log(sum[k]);
}

// log Σ_r e^(z_r · w_k / temperature + row_bias_r) for each prototype k; its own bias is left out.
template <class T>
void column_log_sums(const PrototypeBlocks& blocks, const LogitRows<T>& logits, const T* row_bias,
                     T* out) {
  parallel_for(blocks.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block++) {
      T* tile = scratch<T>(0, (logits.rows + 2) * blocks.size);
      T *top = tile + logits.rows * blocks.size, *sum = top + blocks.size;
      logits.products(blocks, block, tile);
      block_log_sums(blocks.width(block), blocks.size, logits, row_bias, tile, top, sum,
                     out + blocks.begin(block));
    }
  });
}

template <class T>
std::vector<T> negated(std::vector<T> x) {
  for (T& value : x) value = -value;
  return x;
}

}  // namespace protea
