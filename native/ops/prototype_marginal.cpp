// prototype_marginal: m_k = 1/R Σ_r softmax(z_r wᵀ / temperature + bias)_k, the marginal latent
// class
//   distribution (MLCD)
//   z (R > 0, P), w (K, P), bias (K) or none, attrs temperature > 0 -> m (K)
//   no gradient. The logits are computed twice, block by block; nothing of size R x K is made.
//   Govindarajan et al. 2024, section 3
#include <vector>

#include "../core/scratch.h"
#include "prototype_blocks.h"

namespace protea {

Outputs prototype_marginal_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 3, Code::Shape, "[prototype_marginal] takes z, w and bias, got ", in.size());
  check_prototype_rows("[prototype_marginal]", "sample", in[0], in[1], in[2]);
  check(in[0].dim(0) > 0, Code::Shape, "[prototype_marginal] z must have at least one row");
  check(attrs.number("temperature") > 0, Code::Unsupported,
        "[prototype_marginal] temperature must be > 0");
  return {{{Shape{in[1].dim(0)}, in[0].dtype}}};
}

namespace {

template <class T>
std::vector<T> log_sum_exps(const PrototypeBlocks& blocks, const LogitRows<T>& rows) {
  std::vector<RunningSoftmax<T>> partial(blocks.pieces * rows.rows);
  parallel_for(blocks.count, blocks.per_piece, [&](int64_t begin, int64_t end) {
    RunningSoftmax<T>* running = partial.data() + begin / blocks.per_piece * rows.rows;
    T* tile = scratch<T>(0, rows.rows * blocks.size);
    for (int64_t block = begin; block < end; block++) {
      rows.products(blocks, block, tile);
      for (int64_t r = 0; r < rows.rows; r++)
        running[r].take(blocks.width(block), rows.inverse_temperature, rows.bias_of(blocks, block),
                        tile + r * blocks.size);
    }
  });
  std::vector<T> result(rows.rows);
  for (int64_t r = 0; r < rows.rows; r++) {
    T top = -std::numeric_limits<T>::infinity();
    for (int64_t p = 0; p < blocks.pieces; p++) top = std::max(top, partial[p * rows.rows + r].top);
    double sum = 0;
    for (int64_t p = 0; p < blocks.pieces; p++) {
      const RunningSoftmax<T>& part = partial[p * rows.rows + r];
      sum += part.sum * std::exp(static_cast<double>(part.top) - top);
    }
    result[r] = top + static_cast<T>(std::log(sum));
  }
  return result;
}

template <class T>
void marginal(const Run& run) {
  const Array &z = run.in[0], &w = run.in[1];
  PrototypeBlocks blocks(w.dim(0));
  LogitRows<T> rows{z.as<T>(), w.as<T>(), run.in[2] ? run.in[2].as<T>() : nullptr,
                    z.dim(0),  z.dim(1),  static_cast<T>(1 / run.attrs.number("temperature"))};
  std::vector<T> lse = log_sum_exps(blocks, rows);
  parallel_for(blocks.count, 1, [&](int64_t block, int64_t) {
    int64_t n = blocks.width(block);
    T* tile = scratch<T>(0, rows.rows * blocks.size);
    T* m = run.out[0].as<T>() + blocks.begin(block);
    rows.products(blocks, block, tile);
    std::fill_n(m, n, T(0));
    for (int64_t r = 0; r < rows.rows; r++) {
      T* row = tile + r * blocks.size;
      protea::rows<T>().affine_largest(n, rows.inverse_temperature, rows.bias_of(blocks, block),
                                       row);
      protea::rows<T>().exp_sum(n, lse[r], row);
      protea::rows<T>().axpy(n, T(1) / static_cast<T>(rows.rows), row, m);
    }
  });
}

void forward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() { marginal<T>(run); });
}

}  // namespace

extern const Kernel prototype_marginal_cpu = {forward, nullptr};

}  // namespace protea
