// gmm_responsibilities: E-step of a Gaussian mixture with diagonal covariances
//   log ρ_bk = log π_k - 1/2 Σ_d [log(2π var_kd) + (x_bd - mu_kd)² / var_kd]
//   γ_bk = softmax_k(beta log ρ_bk),  log_likelihood = mean_b log Σ_k ρ_bk
//   x (B > 0, D), pi (K), mu (K, D), var (K, D) > 0; attrs beta > 0, the annealing exponent
//   -> γ (B, K), log_likelihood (); no gradient; sums in double
//   Govindarajan et al. 2025 (arXiv 2510.20108); Ueda & Nakano 1998 for the annealing
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../kernels/rows.h"

namespace protea {

Outputs gmm_responsibilities_infer(std::span<const Tensor> in, const Attrs& attrs) {
  const char* op = "[gmm_responsibilities]";
  check(in.size() == 4, Code::Shape, op, " takes x, pi, mu and var, got ", in.size());
  const Tensor &x = in[0], &pi = in[1];
  check(x.rank() == 2 && x.dim(0) > 0 && is_floating(x.dtype), Code::Shape, op,
        " x must be (B > 0, D) f32 or f64, got ", x.shape);
  check(pi.rank() == 1 && pi.dtype == x.dtype, Code::Shape, op, " pi must be (K), got ", pi.shape);
  for (const Tensor& per : {in[2], in[3]})
    check(per.shape == Shape{pi.dim(0), x.dim(1)} && per.dtype == x.dtype, Code::Shape, op,
          " mu and var must be (K, D) = (", pi.dim(0), ", ", x.dim(1), "), got ", per.shape);
  check(attrs.number("beta") > 0, Code::Unsupported, op, " beta must be > 0, got ",
        attrs.number("beta"));
  Outputs outputs{{{Shape{x.dim(0), pi.dim(0)}, x.dtype}, {Shape{}, x.dtype}}};
  outputs.visible = 2;
  return outputs;
}

namespace {

constexpr int64_t block_rows = 8, grain = 16;  // rows that share a component's numbers; components

// What no row changes: log π_k - 1/2 Σ_d log(2π var_kd), and 1 / var (K, D).
struct Densities {
  std::vector<double> constant, precision;
};

template <class T>
Densities densities(const Array& pi, const Array& var) {
  int64_t K = var.dim(0), D = var.dim(1);
  Densities result{std::vector<double>(K), std::vector<double>(K * D)};
  parallel_for(K, grain, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k++) {
      const T* variance = var.as<T>() + k * D;
      double sum = 0;
      for (int64_t d = 0; d < D; d++) {
        sum += std::log(2 * M_PI * variance[d]);
        result.precision[k * D + d] = 1 / static_cast<double>(variance[d]);
      }
      result.constant[k] = std::log(static_cast<double>(pi.as<T>()[k])) - sum / 2;
    }
  });
  return result;
}

// e^x for x <= 0. Most components are so far from a row that it is 0, which exp() finds out slowly.
double exp_of_negative(double x) { return x < -746 ? 0 : std::exp(x); }

// log Σ e^x; x becomes softmax(beta x).
double anneal(std::span<double> x, double beta) {
  double top = *std::max_element(x.begin(), x.end()), sum = 0, annealed = 0;
  for (double& value : x) {
    sum += exp_of_negative(value - top);
    value = exp_of_negative(beta * (value - top));
    annealed += value;
  }
  for (double& value : x) value /= annealed;
  return top + std::log(sum);
}

// The components one after the other, each against a few rows that stay in the first cache.
template <class T>
struct Expectation {
  const Run& run;
  int64_t D, K;
  double beta;
  Densities densities;
  std::vector<double> likelihood;

  explicit Expectation(const Run& run)
      : run(run),
        D(run.in[0].dim(1)),
        K(run.in[2].dim(0)),
        beta(run.attrs.number("beta")),
        densities(protea::densities<T>(run.in[1], run.in[3])),
        likelihood(run.in[0].dim(0)) {}

  double log_density(int64_t b, int64_t k) const {
    const T *x = run.in[0].as<T>() + b * D, *mu = run.in[2].as<T>() + k * D;
    const double* precision = densities.precision.data() + k * D;
    return densities.constant[k] - rows<T>().weighted_square(D, x, mu, precision) / 2;
  }

  void of_rows(int64_t begin, int64_t end) {
    std::vector<double> found((end - begin) * K);
    for (int64_t k = 0; k < K; k++)
      for (int64_t b = begin; b < end; b++) found[(b - begin) * K + k] = log_density(b, k);
    for (int64_t b = begin; b < end; b++) {
      std::span<double> of_row(found.data() + (b - begin) * K, K);
      likelihood[b] = anneal(of_row, beta);
      std::copy(of_row.begin(), of_row.end(), run.out[0].as<T>() + b * K);
    }
  }
};

template <class T>
void expect(const Run& run) {
  Expectation<T> expectation(run);
  int64_t B = run.in[0].dim(0);
  parallel_for(B, block_rows, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; b += block_rows)
      expectation.of_rows(b, std::min(b + block_rows, end));
  });
  double sum = 0;
  for (double value : expectation.likelihood) sum += value;
  *run.out[1].as<T>() = static_cast<T>(sum / B);
}

void forward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() { expect<T>(run); });
}

}  // namespace

extern const Kernel gmm_responsibilities_cpu = {forward, nullptr};

}  // namespace protea
