// gmm_responsibilities: E-step of a Gaussian mixture with diagonal covariances
//   log ρ_bk = log π_k - 1/2 Σ_d [log(2π var_kd) + (x_bd - mu_kd)² / var_kd]
//   γ_bk = softmax_k(beta log ρ_bk),  log_likelihood = mean_b log Σ_k ρ_bk
//   x (B > 0, D), pi (K), mu (K, D), var (K, D) > 0; attrs beta > 0, the annealing exponent
//   -> γ (B, K), log_likelihood (); no gradient; sums in double
//   Govindarajan et al. 2025 (arXiv 2510.20108); Ueda & Nakano 1998 for the annealing
#include <algorithm>
#include <cmath>
#include <vector>

#include "../core/op.h"
#include "../core/parallel.h"

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

// log π_k - 1/2 Σ_d log(2π var_kd), which no row changes.
template <class T>
std::vector<double> constants(const Array& pi, const Array& var) {
  int64_t K = var.dim(0), D = var.dim(1);
  std::vector<double> result(K);
  for (int64_t k = 0; k < K; k++) {
    double sum = 0;
    for (int64_t d = 0; d < D; d++) sum += std::log(2 * M_PI * var.as<T>()[k * D + d]);
    result[k] = std::log(static_cast<double>(pi.as<T>()[k])) - sum / 2;
  }
  return result;
}

template <class T>
double squared_distance(int64_t D, const T* x, const T* mu, const T* var) {
  double sum = 0;
  for (int64_t d = 0; d < D; d++) {
    double difference = static_cast<double>(x[d]) - mu[d];
    sum += difference * difference / var[d];
  }
  return sum;
}

// log Σ e^x; x becomes softmax(beta x).
double anneal(std::vector<double>& x, double beta) {
  double top = *std::max_element(x.begin(), x.end()), sum = 0, annealed = 0;
  for (double& value : x) {
    sum += std::exp(value - top);
    value = std::exp(beta * (value - top));
    annealed += value;
  }
  for (double& value : x) value /= annealed;
  return top + std::log(sum);
}

template <class T>
void expect(const Run& run) {
  const Array &x = run.in[0], &mu = run.in[2], &var = run.in[3];
  int64_t B = x.dim(0), D = x.dim(1), K = mu.dim(0);
  std::vector<double> constant = constants<T>(run.in[1], var), likelihood(B);
  double beta = run.attrs.number("beta");
  parallel_for(B, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> log_density(K);
    for (int64_t b = begin; b < end; b++) {
      for (int64_t k = 0; k < K; k++)
        log_density[k] =
            constant[k] -
            squared_distance(D, x.as<T>() + b * D, mu.as<T>() + k * D, var.as<T>() + k * D) / 2;
      likelihood[b] = anneal(log_density, beta);
      std::copy(log_density.begin(), log_density.end(), run.out[0].as<T>() + b * K);
    }
  });
  double sum = 0;
  for (double value : likelihood) sum += value;
  *run.out[1].as<T>() = static_cast<T>(sum / B);
}

void forward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() { expect<T>(run); });
}

}  // namespace

extern const Kernel gmm_responsibilities_cpu = {forward, nullptr};

}  // namespace protea
