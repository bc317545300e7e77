// prototype_sinkhorn: Sinkhorn-Knopp over a batch, as one bias per prototype
//   With l_rk = z_r · w_k / temperature, u and v are scaled in turns so that diag(v) e^l diag(u)
//   has equal column sums, then equal row sums:
//     log u_k = -log Σ_r e^(l_rk + log v_r),  log v_r = -log Σ_k e^(l_rk + log u_k)
//   As the last turn is over rows, what the rows are assigned to is softmax_k(l_rk + log u_k): a
//   bias, and nothing of size R x K is kept.
//   z (R > 0, P), w (K, P); attrs temperature > 0, iterations >= 1, from_probabilities 0 or 1: 1
//   starts at log v_r = -log Σ_k e^l_rk instead of 0 (MSN)
//   -> log u (K), in units after the temperature
//   no gradient. Log sums are taken with the largest entry of each column and row out of them, so
//   any logits are exact.
//   Cuturi 2013; Caron et al. 2020 (SwAV), section 3.1; DINOv2's and MSN's start are both at hand
#include <algorithm>
#include <vector>

#include "prototype_columns.h"

namespace protea {

Outputs prototype_sinkhorn_infer(std::span<const Tensor> in, const Attrs& attrs) {
  const char* op = "[prototype_sinkhorn]";
  check(in.size() == 2, Code::Shape, op, " takes z and w, got ", in.size());
  check_prototype_rows(op, "sample", in[0], in[1], {});
  check(in[0].dim(0) > 0, Code::Shape, op, " z must have at least one row");
  check(attrs.number("temperature") > 0, Code::Unsupported, op, " temperature must be > 0, got ",
        attrs.number("temperature"));
  check(attrs.integer("iterations") >= 1, Code::Unsupported, op, " iterations must be >= 1, got ",
        attrs.integer("iterations"));
  Outputs outputs{{{Shape{in[1].dim(0)}, in[0].dtype}}};
  outputs.rounded = rounded_prototypes(1, in[1]);
  return outputs;
}

namespace {

template <class T>
void scale_in_turns(const Run& run) {
  const Array &z = run.in[0], &w = run.in[1];
  PrototypeBlocks blocks(w.dim(0));
  LogitRows<T> logits{z.as<T>(), w.as<T>(), nullptr,
                      z.dim(0),  z.dim(1),  static_cast<T>(1 / run.attrs.number("temperature"))};
  std::vector<T> log_v(logits.rows);
  if (run.attrs.integer("from_probabilities", 0)) log_v = negated(row_log_sums(blocks, logits));
  T* log_u = run.out[0].as<T>();
  int64_t iterations = run.attrs.integer("iterations");
  for (int64_t i = 0; i < iterations; i++) {
    column_log_sums(blocks, logits, log_v.data(), log_u);
    std::transform(log_u, log_u + blocks.K, log_u, [](T x) { return -x; });
    logits.bias = log_u;
    if (i + 1 < iterations) log_v = negated(row_log_sums(blocks, logits));
  }
}

void forward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() { scale_in_turns<T>(run); });
}

}  // namespace

extern const Kernel prototype_sinkhorn_cpu = {forward, nullptr};

}  // namespace protea
