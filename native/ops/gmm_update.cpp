// gmm_update: M-step of online EM for a Gaussian mixture with diagonal covariances, in place
//   n_k = Σ_b γ_bk and the batch's sums of γ x and γ x² move the statistics
//     by_responsibility 0:  S <- (1 - eta) S + eta (batch sums) / B
//     by_responsibility 1:  S_k <- a_k S_k + (1 - a_k) / eta (batch sums)_k / n_k,
//                           a_k = (1 - eta)^n_k: a component forgets as much as it is given, and
//                           idle ones stay
//   then π = S0 / Σ S0, mu = S1 / S0, var = max(S2 / S0 - mu², var_floor)
//   pi (K), mu, var (K, D), s0 (K), s1, s2 (K, D), x (B, D), γ (B, K), guard () or none;
//   attrs eta in (0, 1], var_floor > 0, by_responsibility
//   -> applied () i32: 0 when guard is not finite and nothing was changed
//   changes pi, mu, var, s0, s1, s2; no gradient; sums in double. A component whose S0 is 0 keeps
//   its mu and var.
//   Govindarajan et al. 2025 (arXiv 2510.20108); Cappé & Moulines 2009; Celaya & Agostini 2015
#include <algorithm>
#include <cmath>
#include <vector>

#include "../core/parallel.h"
#include "gmm_update.h"
#include "guard.h"

namespace protea {

using namespace gmm;

Outputs gmm_update_infer(std::span<const Tensor> in, const Attrs& attrs) {
  const char* op = "[gmm_update]";
  check(in.size() == 9, Code::Shape, op, " takes 9 inputs, got ", in.size());
  const Tensor &x = in[rows_x], &given = in[responsibilities];
  check(x.rank() == 2 && x.dim(0) > 0 && is_floating(x.dtype), Code::Shape, op,
        " x must be (B > 0, D) f32 or f64, got ", x.shape);
  check(given.rank() == 2 && given.dim(0) == x.dim(0), Code::Shape, op,
        " responsibilities must be (B, K), got ", given.shape);
  int64_t K = given.dim(1);
  for (int i : {weights, s0})
    check(in[i].shape == Shape{K}, Code::Shape, op, " pi and s0 must be (K), got ", in[i].shape);
  for (int i : {means, variances, s1, s2})
    check(in[i].shape == Shape{K, x.dim(1)}, Code::Shape, op,
          " mu, var, s1 and s2 must be (K, D), got ", in[i].shape);
  double eta = attrs.number("eta");
  check(eta > 0 && eta <= 1, Code::Unsupported, op, " eta must be in (0, 1], got ", eta);
  check(attrs.number("var_floor") > 0, Code::Unsupported, op, " var_floor must be > 0");
  check_guard("[gmm_update]", in[8], in[0].dtype);
  Outputs outputs{{{Shape{}, Dtype::I32}}};
  outputs.mutates = {weights, means, variances, s0, s1, s2};
  return outputs;
}

namespace {

template <class T>
struct Mixture {
  const Run& run;
  int64_t B, D, K;
  double eta, floor;
  bool by_responsibility;

  explicit Mixture(const Run& run)
      : run(run),
        B(run.in[rows_x].dim(0)),
        D(run.in[rows_x].dim(1)),
        K(run.in[weights].dim(0)),
        eta(run.attrs.number("eta")),
        floor(run.attrs.number("var_floor")),
        by_responsibility(run.attrs.integer("by_responsibility", 0)) {}

  T* at(int input, int64_t offset) const { return run.in[input].as<T>() + offset; }

  void move(int64_t k) const {
    std::vector<double> first(D), second(D);
    double n = 0;
    for (int64_t b = 0; b < B; b++) {
      double share = *at(responsibilities, b * K + k);
      if (share == 0) continue;  // as most are
      const T* x = at(rows_x, b * D);
      n += share;
      for (int64_t d = 0; d < D; d++) {
        first[d] += share * x[d];
        second[d] += share * x[d] * x[d];
      }
    }
    Rates rates(n, eta, B, by_responsibility);
    *at(s0, k) = static_cast<T>(rates.keep * *at(s0, k) + rates.take * n);
    for (int64_t d = 0, i = k * D; d < D; d++, i++) {
      *at(s1, i) = static_cast<T>(rates.keep * *at(s1, i) + rates.take * first[d]);
      *at(s2, i) = static_cast<T>(rates.keep * *at(s2, i) + rates.take * second[d]);
    }
  }

  void derive(int64_t k) const {
    double mass = *at(s0, k);
    if (mass <= 0) return;
    for (int64_t i = k * D; i < (k + 1) * D; i++) {
      double mean = *at(s1, i) / mass;
      *at(means, i) = static_cast<T>(mean);
      *at(variances, i) = static_cast<T>(std::max(*at(s2, i) / mass - mean * mean, floor));
    }
  }

  void weigh() const {
    double sum = 0;
    for (int64_t k = 0; k < K; k++) sum += *at(s0, k);
    for (int64_t k = 0; k < K; k++) *at(weights, k) = static_cast<T>(*at(s0, k) / sum);
  }
};

void forward(const Run& run) {
  const Array& unless = run.in[guard];
  with_floating(run.in[rows_x].dtype, [&]<class T>() {
    bool apply = lets_through<T>(unless);
    *run.out[0].as<int32_t>() = apply;
    if (!apply) return;
    Mixture<T> mixture(run);
    parallel_for(mixture.K, 8, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        mixture.move(k);
        mixture.derive(k);
      }
    });
    mixture.weigh();
  });
}

}  // namespace

extern const Kernel gmm_update_cpu = {forward, nullptr};

}  // namespace protea
