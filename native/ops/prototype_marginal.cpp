// prototype_marginal: m_k = 1/R Σ_r softmax(z_r wᵀ / temperature + bias)_k, the marginal latent
// class
//   distribution (MLCD)
//   z (R > 0, P), w (K, P), bias (K) or none, attrs temperature > 0, log 0 or 1 -> m (K) or log m,
//   which stays finite where m is below the smallest number
//   no gradient. The logits are computed twice, block by block; nothing of size R x K is made.
//   Govindarajan et al. 2024, section 3
#include <vector>

#include "prototype_columns.h"

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
void marginal(const Run& run) {
  const Array &z = run.in[0], &w = run.in[1], &bias = run.in[2], &m = run.out[0];
  PrototypeBlocks blocks(w.dim(0));
  LogitRows<T> logits{z.as<T>(), w.as<T>(), bias ? bias.as<T>() : nullptr,
                      z.dim(0),  z.dim(1),  static_cast<T>(1 / run.attrs.number("temperature"))};
  std::vector<T> row_bias = negated(row_log_sums(blocks, logits));
  column_log_sums(blocks, logits, row_bias.data(), m.as<T>());
  T shift = -std::log(static_cast<T>(logits.rows));
  bool log = run.attrs.integer("log", 0);
  for (int64_t k = 0; k < blocks.K; k++) {
    T value = m.as<T>()[k] + shift + (bias ? bias.as<T>()[k] : T(0));
    m.as<T>()[k] = log ? value : std::exp(value);
  }
}

void forward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() { marginal<T>(run); });
}

}  // namespace

extern const Kernel prototype_marginal_cpu = {forward, nullptr};

}  // namespace protea
