// unique_prototypes: which prototypes are copies of each other at cosine distance below epsilon
//   u = w / max(||w||_2, 1e-12), distance(i, j) = 1 - <u_i, u_j>
//   w (K, P), attrs epsilons (list of E), components (0 or 1) -> leader (E, K) i32
//   greedy (components = 0): rows in index order; row i belongs to the FIRST row that is a leader
//   and has distance < epsilon, otherwise it leads itself. components: the smallest row of the
//   connected component of the graph distance < epsilon.
//   no gradient. Products are taken in the dtype of w by tiles; those within `doubt` of the
//   threshold are decided in double. Nothing of size K x K is made. Govindarajan et al. 2024,
//   section 3: M unique prototypes and their redundancy factors
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../kernels/gemm.h"
#include "../kernels/rows.h"

namespace protea {

Outputs unique_prototypes_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1, Code::Shape, "[unique_prototypes] takes one w, got ", in.size());
  const Tensor& w = in[0];
  check(w.rank() == 2 && w.dim(1) > 0 && is_floating(w.dtype), Code::Shape,
        "[unique_prototypes] w must be (K, P > 0) of f32 or f64, got ", w.shape, " of ",
        name_of(w.dtype));
  std::span<const double> epsilons = attrs.list("epsilons");
  for (double epsilon : epsilons)
    check(epsilon >= 0 && epsilon <= 2, Code::Unsupported,
          "[unique_prototypes] epsilon must be in [0, 2], got ", epsilon);
  return {{{Shape{static_cast<int64_t>(epsilons.size()), w.dim(0)}, Dtype::I32}}};
}

namespace {

constexpr int64_t tile_rows = 256, tile_columns = 1024;
constexpr double doubt = 1e-5;

template <class T>
class Directions {
 public:
  explicit Directions(const Array& w) : K_(w.dim(0)), P_(w.dim(1)), u_(K_ * P_) {
    parallel_for(K_, 64, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        const T* from = w.as<T>() + k * P_;
        double square = 0;
        for (int64_t p = 0; p < P_; p++) square += static_cast<double>(from[p]) * from[p];
        double inverse = 1 / std::max(std::sqrt(square), 1e-12);
        for (int64_t p = 0; p < P_; p++) u_[k * P_ + p] = static_cast<T>(from[p] * inverse);
      }
    });
  }

  int64_t count() const { return K_; }
  int64_t width() const { return P_; }
  const T* row(int64_t k) const { return u_.data() + k * P_; }

  // Is 1 - <u_i, u_j> < epsilon? `similarity` is a rounded product that mostly settles it.
  bool near(int64_t i, int64_t j, double similarity, double epsilon) const {
    if (std::fabs(similarity - (1 - epsilon)) > doubt) return similarity > 1 - epsilon;
    double product = 0;
    for (int64_t p = 0; p < P_; p++) product += static_cast<double>(row(i)[p]) * row(j)[p];
    return 1 - product < epsilon;
  }

 private:
  int64_t K_, P_;
  std::vector<T> u_;
};

// Rows are taken by tiles. First the tile against all leaders before it, then within the tile.
template <class T>
class Greedy {
 public:
  Greedy(const Directions<T>& u, double epsilon, int32_t* leader)
      : u_(u), epsilon_(epsilon), leader_(leader), tile_(tile_rows * tile_columns) {}

  void run() {
    for (int64_t row = 0; row < u_.count(); row += tile_rows) {
      int64_t n = std::min(tile_rows, u_.count() - row);
      std::fill_n(leader_ + row, n, -1);
      auto before = static_cast<int64_t>(leaders_.size());
      for (int64_t first = 0; first < before; first += tile_columns)
        join(row, n, first, std::min(tile_columns, before - first));
      lead(row, n);
    }
  }

 private:
  void join(int64_t row, int64_t n, int64_t first, int64_t m) {
    gemm<T>(n, m, u_.width(), {u_.row(row), u_.width()},
            {led_.data() + first * u_.width(), u_.width(), true}, tile_.data(), tile_columns,
            false);
    parallel_for(n, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        if (leader_[row + i] >= 0) continue;
        leader_[row + i] = first_near(row + i, tile_.data() + i * tile_columns, first, m);
      }
    });
  }

  int32_t first_near(int64_t i, const T* similarity, int64_t first, int64_t m) const {
    double bound = 1 - epsilon_ - doubt;
    if (rows<T>().largest(m, similarity) < bound) return -1;
    for (int64_t j = 0; j < m; j++)
      if (similarity[j] >= bound && u_.near(i, leaders_[first + j], similarity[j], epsilon_))
        return leaders_[first + j];
    return -1;
  }

  // Rows that found no leader, in order: the first near one that led within this tile, or itself.
  void lead(int64_t row, int64_t n) {
    gemm<T>(n, n, u_.width(), {u_.row(row), u_.width()}, {u_.row(row), u_.width(), true},
            tile_.data(), tile_columns, false);
    size_t start = leaders_.size();
    for (int64_t i = 0; i < n; i++) {
      if (leader_[row + i] >= 0) continue;
      for (size_t l = start; l < leaders_.size() && leader_[row + i] < 0; l++) {
        int64_t j = leaders_[l] - row;
        if (u_.near(row + i, row + j, tile_[i * tile_columns + j], epsilon_))
          leader_[row + i] = leaders_[l];
      }
      if (leader_[row + i] < 0) add(row + i);
    }
  }

  void add(int64_t k) {
    leader_[k] = static_cast<int32_t>(k);
    leaders_.push_back(static_cast<int32_t>(k));
    led_.insert(led_.end(), u_.row(k), u_.row(k) + u_.width());
  }

  const Directions<T>& u_;
  double epsilon_;
  int32_t* leader_;
  std::vector<T> tile_, led_;  // led_: the leaders' directions, one below the other
  std::vector<int32_t> leaders_;
};

// Union-find whose representative is the smallest row.
template <class T>
class Components {
 public:
  Components(const Directions<T>& u, double epsilon, int32_t* leader)
      : u_(u), epsilon_(epsilon), parent_(leader), tile_(tile_rows * tile_columns) {
    std::iota(parent_, parent_ + u.count(), 0);
  }

  void run() {
    int64_t K = u_.count(), P = u_.width();
    for (int64_t row = 0; row < K; row += tile_rows) {
      int64_t n = std::min(tile_rows, K - row);
      for (int64_t column = row; column < K; column += tile_columns) {
        int64_t m = std::min(tile_columns, K - column);
        gemm<T>(n, m, P, {u_.row(row), P}, {u_.row(column), P, true}, tile_.data(), tile_columns,
                false);
        for (int64_t i = 0; i < n; i++) unite(row + i, column, m, tile_.data() + i * tile_columns);
      }
    }
    for (int64_t k = 0; k < K; k++) parent_[k] = find(static_cast<int32_t>(k));
  }

 private:
  void unite(int64_t i, int64_t column, int64_t m, const T* similarity) {
    double bound = 1 - epsilon_ - doubt;
    if (rows<T>().largest(m, similarity) < bound) return;
    for (int64_t j = 0; j < m; j++) {
      if (column + j <= i || similarity[j] < bound) continue;
      int32_t a = find(static_cast<int32_t>(i)), b = find(static_cast<int32_t>(column + j));
      if (a != b && u_.near(i, column + j, similarity[j], epsilon_))
        parent_[std::max(a, b)] = std::min(a, b);
    }
  }

  int32_t find(int32_t k) {
    while (parent_[k] != k) k = parent_[k] = parent_[parent_[k]];
    return k;
  }

  const Directions<T>& u_;
  double epsilon_;
  int32_t* parent_;
  std::vector<T> tile_;
};

void forward(const Run& run) {
  const Array& w = run.in[0];
  std::span<const double> epsilons = run.attrs.list("epsilons");
  bool components = run.attrs.integer("components", 0);
  with_floating(w.dtype, [&]<class T>() {
    Directions<T> u(w);
    for (size_t e = 0; e < epsilons.size(); e++) {
      int32_t* leader = run.out[0].as<int32_t>() + e * w.dim(0);
      if (components)
        Components<T>(u, epsilons[e], leader).run();
      else
        Greedy<T>(u, epsilons[e], leader).run();
    }
  });
}

}  // namespace

extern const Kernel unique_prototypes_cpu = {forward, nullptr};

}  // namespace protea
