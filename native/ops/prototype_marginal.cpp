// prototype_marginal: m_k = 1/R Σ_r p_rk, p_r = softmax(z_r wᵀ / temperature + bias)
//   the marginal latent class distribution (MLCD)
//   z (R > 0, P), w (K, P), bias (K) or none, attrs temperature > 0, log 0 or 1
//   -> m (K) or log m, which stays finite where m is below the smallest number
//   With g = dm / R and s_r = Σ_k p_rk g_k:
//     dl_rk = p_rk (g_k - s_r)
//     dz_r = Σ_k dl_rk w_k / temperature,  dw_k = Σ_r dl_rk z_r / temperature,  dbias_k = Σ_r dl_rk
//   saves log Σ_k e^logit_rk (R). The logits are computed twice, and twice again in backward, block
//   by block; nothing of size R x K is made.
//   Govindarajan et al. 2024, section 3; its gradient is that of ME-MAX (Assran et al. 2022)
#include <vector>

#include "prototype_columns.h"

namespace protea {

Outputs prototype_marginal_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 3, Code::Shape, "[prototype_marginal] takes z, w and bias, got ", in.size());
  check_prototype_rows("[prototype_marginal]", "sample", in[0], in[1], in[2]);
  check(in[0].dim(0) > 0, Code::Shape, "[prototype_marginal] z must have at least one row");
  check(attrs.number("temperature") > 0, Code::Unsupported,
        "[prototype_marginal] temperature must be > 0");
  Outputs outputs{{{Shape{in[1].dim(0)}, in[0].dtype}, {Shape{in[0].dim(0)}, in[0].dtype}}};
  outputs.rounded = rounded_prototypes(1, in[1]);
  return outputs;
}

namespace {

template <class T>
LogitRows<T> logits_of(const Run& run) {
  const Array &z = run.in[0], &w = run.in[1], &bias = run.in[2];
  return {z.as<T>(), w.as<T>(), bias.as<T>(),
          z.dim(0),  z.dim(1),  static_cast<T>(1 / run.attrs.number("temperature"))};
}

template <class T>
void marginal(const Run& run) {
  const Array &w = run.in[1], &bias = run.in[2], &m = run.out[0];
  PrototypeBlocks blocks(w.dim(0));
  LogitRows<T> logits = logits_of<T>(run);
  std::vector<T> sums = row_log_sums(blocks, logits);
  std::copy(sums.begin(), sums.end(), run.out[1].as<T>());
  std::vector<T> row_bias = negated(std::move(sums));
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

// Gradient with respect to the mean probabilities, over R; with `log` the output is their
// logarithm.
template <class T>
std::vector<T> upstream(const Run& run, int64_t R) {
  const T *dm = run.dout[0].as<T>(), *m = run.out[0].as<T>();
  bool log = run.attrs.integer("log", 0);
  std::vector<T> g(run.dout[0].size());
  for (size_t k = 0; k < g.size(); k++)
    g[k] = dm[k] / static_cast<T>(R) * (log ? std::exp(-m[k]) : 1);
  return g;
}

// The rows' probabilities of one block, into tile (R, blocks.size).
template <class T>
void probabilities(const PrototypeBlocks& blocks, const LogitRows<T>& logits, const T* row_sums,
                   int64_t block, T* tile) {
  logits.products(blocks, block, tile);
  for (int64_t r = 0; r < logits.rows; r++) {
    T* row = tile + r * blocks.size;
    rows<T>().affine_largest(blocks.width(block), logits.inverse_temperature,
                             logits.bias_of(blocks, block), row);
    rows<T>().exp_sum(blocks.width(block), row_sums[r], row);
  }
}

// s_r = Σ_k p_rk g_k, piece by piece, then over the pieces.
template <class T>
std::vector<T> row_means(const PrototypeBlocks& blocks, const LogitRows<T>& logits,
                         const T* row_sums, const std::vector<T>& g) {
  std::vector<double> partial(blocks.pieces * logits.rows, 0.0);
  parallel_for(blocks.count, blocks.per_piece, [&](int64_t begin, int64_t end) {
    double* sums = partial.data() + begin / blocks.per_piece * logits.rows;
    T* tile = scratch<T>(0, logits.rows * blocks.size);
    for (int64_t block = begin; block < end; block++) {
      probabilities(blocks, logits, row_sums, block, tile);
      for (int64_t r = 0; r < logits.rows; r++)
        sums[r] += rows<T>().dot(blocks.width(block), tile + r * blocks.size,
                                 g.data() + blocks.begin(block));
    }
  });
  std::vector<T> means(logits.rows);
  for (int64_t r = 0; r < logits.rows; r++) {
    double sum = 0;
    for (int64_t p = 0; p < blocks.pieces; p++) sum += partial[p * logits.rows + r];
    means[r] = static_cast<T>(sum);
  }
  return means;
}

template <class T>
void write(const Gradient& to, int64_t begin, int64_t n, T scale, const T* from) {
  T* at = to.as<T>() + begin;
  if (to.accumulate)
    rows<T>().axpy(n, scale, from, at);
  else
    rows<T>().scaled_copy(n, scale, from, at);
}

// dbias of one block from its dl; dw of the block, through `sums` (blocks.size, P).
template <class T>
void back_block(const Run& run, const PrototypeBlocks& blocks, const LogitRows<T>& logits,
                int64_t block, const T* dl, T* sums) {
  int64_t n = blocks.width(block), begin = blocks.begin(block);
  if (const Gradient& dw = run.din[1]) {
    gemm<T>(n, logits.P, logits.rows, {dl, blocks.size, true}, {logits.z, logits.P}, sums, logits.P,
            false);
    write(dw, begin * logits.P, n * logits.P, logits.inverse_temperature, sums);
  }
  if (const Gradient& dbias = run.din[2]) {
    std::fill_n(sums, n, T(0));
    for (int64_t r = 0; r < logits.rows; r++) rows<T>().axpy(n, T(1), dl + r * blocks.size, sums);
    write(dbias, begin, n, T(1), sums);
  }
}

template <class T>
void back(const Run& run) {
  LogitRows<T> logits = logits_of<T>(run);
  PrototypeBlocks blocks(run.in[1].dim(0));
  int64_t R = logits.rows, P = logits.P;
  const T* row_sums = run.out[1].as<T>();
  std::vector<T> g = upstream<T>(run, R), means = row_means(blocks, logits, row_sums, g);
  std::vector<T> dz(run.din[0] ? blocks.pieces * R * P : 0, T(0));
  parallel_for(blocks.count, blocks.per_piece, [&](int64_t begin, int64_t end) {
    T* tile = scratch<T>(0, R * blocks.size);
    T* sums = scratch<T>(1, blocks.size * std::max<int64_t>(P, 1));
    for (int64_t block = begin; block < end; block++) {
      int64_t n = blocks.width(block);
      probabilities(blocks, logits, row_sums, block, tile);
      for (int64_t r = 0; r < R; r++)
        for (int64_t k = 0; k < n; k++)
          tile[r * blocks.size + k] *= g[blocks.begin(block) + k] - means[r];
      back_block(run, blocks, logits, block, tile, sums);
      if (run.din[0])
        gemm<T>(R, P, n, {tile, blocks.size}, {logits.w + blocks.begin(block) * P, P},
                dz.data() + begin / blocks.per_piece * R * P, P, true);
    }
  });
  if (!run.din[0]) return;
  for (int64_t p = 1; p < blocks.pieces; p++)
    rows<T>().axpy(R * P, T(1), dz.data() + p * R * P, dz.data());
  write(run.din[0], 0, R * P, logits.inverse_temperature, dz.data());
}

void backward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() { back<T>(run); });
}

}  // namespace

extern const Kernel prototype_marginal_cpu = {forward, backward};

}  // namespace protea
