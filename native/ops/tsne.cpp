// tsne: a map of directions in the plane, exact: no tree, no neighbour lists
//   d_ij² = ||x_i - x_j||²; p_j|i ∝ exp(-beta_i d_ij²), beta_i such that the entropy of p_.|i is
//   ln perplexity; p_ij = (p_j|i + p_i|j) / (2 N); q_ij ∝ 1 / (1 + ||y_i - y_j||²)
//   x (N, P), start (N, 2), attrs perplexity in [1, N / 3], iterations -> y (N, 2)
//   Minimises Σ p log(p / q) from `start` by descent with momentum and gains (van der Maaten and
//   Hinton 2008, section 3.4 and the authors' settings: p times 12 in the first half, rate
//   max(50, N / 48)). No gradient. Memory N² of the dtype, so N <= 8192. Same bits on any threads
#include <algorithm>
#include <cmath>
#include <vector>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../core/progress.h"
#include "../kernels/gemm.h"

namespace protea {

Outputs tsne_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 2, Code::Shape, "[tsne] takes x and start, got ", in.size());
  const Tensor &x = in[0], &start = in[1];
  check(x.rank() == 2 && x.dim(0) >= 4 && x.dim(0) <= 8192 && x.dim(1) > 0 && is_floating(x.dtype),
        Code::Shape, "[tsne] x must be (4 <= N <= 8192, P > 0) of f32 or f64, got ", x.shape);
  check(start.shape == Shape({x.dim(0), 2}) && start.dtype == x.dtype, Code::Shape,
        "[tsne] start must be (", x.dim(0), ", 2) of the dtype of x, got ", start.shape);
  double perplexity = attrs.number("perplexity");
  check(perplexity >= 1 && 3 * perplexity <= static_cast<double>(x.dim(0)), Code::Unsupported,
        "[tsne] perplexity must be in [1, N / 3], got ", perplexity);
  check(attrs.integer("iterations") >= 0, Code::Unsupported, "[tsne] iterations must be >= 0");
  return {{{start.shape, x.dtype}}};
}

namespace {

// Squared distances of row i to all; d is a row of inner products on entry.
template <class T>
void distances(int64_t N, int64_t i, const T* squares, T* d) {
#pragma omp simd
  for (int64_t j = 0; j < N; j++) d[j] = std::max(T(0), squares[i] + squares[j] - 2 * d[j]);
}

// The neighbour probabilities of one row, over its squared distances. Bisection on beta.
template <class T>
void neighbours(int64_t N, int64_t i, double perplexity, T* d) {
  double target = std::log(perplexity), beta = 1, low = 0, high = INFINITY, sum = 0;
  double least = INFINITY;
  for (int64_t j = 0; j < N; j++)
    if (j != i) least = std::min(least, static_cast<double>(d[j]));
  for (int step = 0; step < 100; step++) {
    double weighted = 0;
    sum = 0;
    for (int64_t j = 0; j < N; j++) {
      if (j == i) continue;
      double away = d[j] - least, p = std::exp(-beta * away);
      sum += p;
      weighted += p * away;
    }
    double entropy = std::log(sum) + beta * weighted / sum;
    if (std::fabs(entropy - target) < 1e-5) break;
    (entropy > target ? low : high) = beta;
    beta = std::isinf(high) ? 2 * beta : (low + high) / 2;
  }
  for (int64_t j = 0; j < N; j++)
    d[j] = j == i ? T(0) : static_cast<T>(std::exp(-beta * (d[j] - least)) / sum);
}

// p (N, N), symmetric, of sum 1.
template <class T>
std::vector<T> joint(const Array& x, double perplexity) {
  int64_t N = x.dim(0), P = x.dim(1);
  std::vector<T> p(N * N), squares(N);
  gemm<T>(N, N, P, {x.as<T>(), P}, {x.as<T>(), P, true}, p.data(), N, false);
  for (int64_t i = 0; i < N; i++) squares[i] = p[i * N + i];
  parallel_for(N, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      distances(N, i, squares.data(), p.data() + i * N);
      neighbours(N, i, perplexity, p.data() + i * N);
    }
  });
  for (int64_t i = 0; i < N; i++)
    for (int64_t j = 0; j < i; j++) {
      T mean = (p[i * N + j] + p[j * N + i]) / static_cast<T>(2 * N);
      p[i * N + j] = p[j * N + i] = std::max(mean, T(1e-12));
    }
  return p;
}

// What pulls and pushes one point: Σ_j p q' (y_i - y_j), Σ_j q'² (y_i - y_j) and Σ_j q', where
// q' = 1 / (1 + ||y_i - y_j||²) and the point itself is left out.
template <class T>
struct Force {
  T pull_x = 0, pull_y = 0, push_x = 0, push_y = 0, sum = 0;
};

template <class T>
Force<T> force_on(int64_t N, int64_t i, const T* p, const T* xs, const T* ys) {
  T px = 0, py = 0, rx = 0, ry = 0, sum = 0;
#pragma omp simd reduction(+ : px, py, rx, ry, sum)
  for (int64_t j = 0; j < N; j++) {
    T x = xs[i] - xs[j], y = ys[i] - ys[j];
    T q = 1 / (1 + x * x + y * y);
    T pull = p[j] * q, push = q * q;
    px += pull * x, py += pull * y, rx += push * x, ry += push * y, sum += q;
  }
  return {px, py, rx, ry, sum - 1};
}

template <class T>
class Descent {
 public:
  Descent(int64_t N, const T* start)
      : N_(N), at_(2 * N), step_(2 * N), gain_(2 * N, T(1)), forces_(N) {
    for (int64_t i = 0; i < N; i++)
      for (int64_t d = 0; d < 2; d++) at_[d * N + i] = start[2 * i + d];
  }

  void step(const T* p, T exaggeration, T momentum) {
    parallel_for(N_, 32, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++)
        forces_[i] = force_on(N_, i, p + i * N_, at_.data(), at_.data() + N_);
    });
    double total = 0;
    for (const Force<T>& force : forces_) total += force.sum;
    T rate = std::max(T(50), static_cast<T>(N_) / 48), share = static_cast<T>(1 / total);
    for (int64_t i = 0; i < N_; i++) {
      const Force<T>& f = forces_[i];
      move(i, 4 * (exaggeration * f.pull_x - f.push_x * share), rate, momentum);
      move(N_ + i, 4 * (exaggeration * f.pull_y - f.push_y * share), rate, momentum);
    }
    for (int64_t d = 0; d < 2; d++) centre(at_.data() + d * N_);
  }

  void write(T* y) const {
    for (int64_t i = 0; i < N_; i++)
      for (int64_t d = 0; d < 2; d++) y[2 * i + d] = at_[d * N_ + i];
  }

 private:
  void move(int64_t k, T slope, T rate, T momentum) {
    bool same = (slope > 0) == (step_[k] > 0);
    gain_[k] = std::max(same ? gain_[k] * T(0.8) : gain_[k] + T(0.2), T(0.01));
    step_[k] = momentum * step_[k] - rate * gain_[k] * slope;
    at_[k] += step_[k];
  }

  void centre(T* values) const {
    double sum = 0;
    for (int64_t i = 0; i < N_; i++) sum += values[i];
    for (int64_t i = 0; i < N_; i++) values[i] -= static_cast<T>(sum / static_cast<double>(N_));
  }

  int64_t N_;
  std::vector<T> at_, step_, gain_;  // all x, then all y
  std::vector<Force<T>> forces_;
};

void forward(const Run& run) {
  report_progress(0);
  const Array& x = run.in[0];
  int64_t iterations = run.attrs.integer("iterations");
  with_floating(x.dtype, [&]<class T>() {
    std::vector<T> p = joint<T>(x, run.attrs.number("perplexity"));
    Descent<T> descent(x.dim(0), run.in[1].as<T>());
    for (int64_t i = 0; i < iterations; i++) {
      bool early = 2 * i < iterations;
      descent.step(p.data(), early ? T(12) : T(1), early ? T(0.5) : T(0.8));
      report_progress(static_cast<double>(i + 1) / static_cast<double>(iterations));
    }
    descent.write(run.out[0].as<T>());
  });
}

}  // namespace

extern const Kernel tsne_cpu = {forward, nullptr};

}  // namespace protea
