#pragma once
// Directions of prototypes, compared exactly: a rounded product settles what is clear, the doubtful
// rest is decided in double from the numbers as given.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "../core/parallel.h"
#include "../core/random.h"
#include "../core/scratch.h"
#include "../core/tensor.h"
#include "../kernels/gemm.h"
#include "../kernels/rows.h"

namespace protea {

template <class T>
class Directions {
 public:
  explicit Directions(const Array& w)
      : w_(w.as<T>()), K_(w.dim(0)), P_(w.dim(1)), u_(K_ * P_), inverse_(K_) {
    parallel_for(K_, 64, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        const T* from = w_ + k * P_;
        double square = 0;
        for (int64_t p = 0; p < P_; p++) square += static_cast<double>(from[p]) * from[p];
        inverse_[k] = 1 / std::max(std::sqrt(square), 1e-12);
        for (int64_t p = 0; p < P_; p++) u_[k * P_ + p] = static_cast<T>(from[p] * inverse_[k]);
      }
    });
  }

  int64_t count() const { return K_; }
  int64_t width() const { return P_; }
  const T* row(int64_t k) const { return u_.data() + k * P_; }

  // The largest error of a rounded product of two directions: a sum of P terms of total at most 1.
  double doubt() const { return static_cast<double>(P_ + 16) * std::numeric_limits<T>::epsilon(); }

  T product(int64_t i, int64_t j) const { return rows<T>().dot(P_, row(i), row(j)); }

  // Is 1 - <u_i, u_j> < epsilon? `similarity` is a rounded product.
  bool near(int64_t i, int64_t j, double similarity, double epsilon) const {
    if (std::fabs(similarity - (1 - epsilon)) > doubt()) return similarity > 1 - epsilon;
    return 1 - cosine(i, j) < epsilon;
  }

  // Rows `which` one below the other.
  void gather(const int32_t* which, int64_t n, T* to) const {
    for (int64_t i = 0; i < n; i++) std::copy_n(row(which[i]), P_, to + i * P_);
  }

  // In double, from the numbers as given.
  double cosine(int64_t i, int64_t j) const {
    double product = 0;
    for (int64_t p = 0; p < P_; p++)
      product += static_cast<double>(w_[i * P_ + p]) * static_cast<double>(w_[j * P_ + p]);
    return product * inverse_[i] * inverse_[j];
  }

 private:
  const T* w_;
  int64_t K_, P_;
  std::vector<T> u_;
  std::vector<double> inverse_;
};

// A short version of each direction whose products are upper bounds of the true ones. With Q of
// orthonormal rows and r = ||u - Qᵀ Q u||, Cauchy-Schwarz gives <u, v> <= <Q u, Q v> + r_u r_v, the
// product of [Q u, r_u] and [Q v, r_v]. A random Q spreads what directions have in common evenly,
// so few numbers rule out almost every pair that is not near. Narrow directions are their own
// sketch.
template <class T>
class Sketch {
 public:
  // Of the rows `which`, or of all, for products above 1 - epsilon.
  Sketch(const Directions<T>& u, double epsilon, const std::vector<int32_t>* which = nullptr)
      : width_(width_for(u.width(), epsilon)), slack_(u.doubt()), exact_(width_ == u.width()) {
    int64_t n = which ? static_cast<int64_t>(which->size()) : u.count(), P = u.width();
    rows_.resize(n * width_);
    if (!exact_) slack_ *= 4;
    std::vector<T> q = exact_ ? std::vector<T>() : basis(width_ - 1, P);
    parallel_for(n, piece_rows, [&](int64_t begin, int64_t end) {
      const T* from = u.row(begin);
      if (which) {
        T* gathered = scratch<T>(0, piece_rows * P);
        u.gather(which->data() + begin, end - begin, gathered);
        from = gathered;
      }
      if (exact_)
        std::copy_n(from, (end - begin) * P, row(begin));
      else
        shorten(end - begin, from, P, q.data(), row(begin));
    });
  }

  // The products are those of the directions themselves.
  bool exact() const { return exact_; }
  int64_t width() const { return width_; }
  const T* row(int64_t k) const { return rows_.data() + k * width_; }
  T* row(int64_t k) { return rows_.data() + k * width_; }
  // How much a bound may lie too low by rounding.
  double slack() const { return slack_; }

 private:
  static constexpr int64_t piece_rows = 512;

  // A share f of the coordinates bounds the product of unrelated directions by about
  // 1 - f + 5 sqrt(f / P), five standard deviations up; that should be 1 - epsilon at most.
  static int64_t width_for(int64_t P, double epsilon) {
    double spread = 5 / std::sqrt(static_cast<double>(P));
    double root = (spread + std::sqrt(spread * spread + 4 * epsilon)) / 2;
    auto width = static_cast<int64_t>(std::ceil(root * root * static_cast<double>(P) / 8)) * 8;
    width = std::max<int64_t>(width, 64);
    return 3 * width > 2 * P ? P : width;
  }

  void shorten(int64_t n, const T* u, int64_t P, const T* q, T* to) const {
    gemm<T>(n, width_ - 1, P, {u, P}, {q, P, true}, to, width_, false);
    for (int64_t i = 0; i < n; i++) add_rest(to + i * width_);
  }

  void add_rest(T* sketch) const {
    double square = 0;
    for (int64_t p = 0; p + 1 < width_; p++) square += static_cast<double>(sketch[p]) * sketch[p];
    sketch[width_ - 1] = static_cast<T>(std::sqrt(std::max(0.0, 1 - square) + 1e-6));
  }

  // Random orthonormal rows (n, P) by Gram-Schmidt, the same in every run.
  static std::vector<T> basis(int64_t n, int64_t P) {
    std::vector<double> q(n * P);
    Philox random({0, 0, static_cast<uint32_t>(P), purpose::init});
    for (int64_t i = 0; i < n; i++) {
      double* row = q.data() + i * P;
      for (int64_t p = 0; p < P; p++) row[p] = random.uniform(-1, 1);
      for (int64_t j = 0; j < i; j++) subtract(P, q.data() + j * P, row);
      double square = 0;
      for (int64_t p = 0; p < P; p++) square += row[p] * row[p];
      for (int64_t p = 0; p < P; p++) row[p] /= std::sqrt(square);
    }
    return {q.begin(), q.end()};
  }

  // Takes the part along a unit vector out of a row.
  static void subtract(int64_t P, const double* unit, double* row) {
    double along = 0;
    for (int64_t p = 0; p < P; p++) along += row[p] * unit[p];
    for (int64_t p = 0; p < P; p++) row[p] -= along * unit[p];
  }

  int64_t width_;
  double slack_;
  bool exact_;
  std::vector<T> rows_;
};

}  // namespace protea
