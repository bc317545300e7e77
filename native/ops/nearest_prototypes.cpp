// nearest_prototypes: the nearest other prototype of each, by direction
//   u = w / max(||w||_2, 1e-12); nearest(i) = argmax_{j != i} <u_i, u_j>, distance(i) = 1 - that
//   w (K >= 2, P), leader (K) i32 or none: greedy groups of w, a head start -> nearest (K) i32,
//   distance (K) f64
//   no gradient. Which is nearest is settled by products in the dtype of w; of several as near one
//   is taken, the same in every run. Its distance is taken in double from the numbers as given.
//   Pairs of rows that both have copies are met by their sketches (prototype_directions.h), whose
//   products are upper bounds: only those above what is known already are multiplied out. All else
//   goes over tiles of the upper triangle. Nothing of size K x K is made
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <vector>

#include "../core/op.h"
#include "../core/progress.h"
#include "prototype_directions.h"

namespace protea {

Outputs nearest_prototypes_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 1 || in.size() == 2, Code::Shape,
        "[nearest_prototypes] takes w and leader, got ", in.size());
  const Tensor& w = in[0];
  check(w.rank() == 2 && w.dim(0) >= 2 && w.dim(1) > 0 && is_floating(w.dtype), Code::Shape,
        "[nearest_prototypes] w must be (K >= 2, P > 0) of f32 or f64, got ", w.shape);
  if (in.size() == 2 && in[1])
    check(in[1].shape == Shape({w.dim(0)}) && in[1].dtype == Dtype::I32, Code::Shape,
          "[nearest_prototypes] leader must be (", w.dim(0), ") i32, got ", in[1].shape);
  return {{{Shape{w.dim(0)}, Dtype::I32}, {Shape{w.dim(0)}, Dtype::F64}}, 2};
}

namespace {

constexpr int64_t tile_rows = 256, tile_columns = 512, max_pieces = 32;

// The most similar other row so far, for every row.
template <class T>
struct Best {
  std::vector<T> product;
  std::vector<int32_t> row;

  void offer(int32_t i, T similarity, int32_t j) {
    if (similarity > product[i] || (similarity == product[i] && j < row[i])) {
      product[i] = similarity;
      row[i] = j;
    }
  }
};

template <class T>
class Search {
 public:
  Search(const Directions<T>& u, const int32_t* leader) : u_(u), order_(u.count()) {
    int64_t K = u.count();
    std::iota(order_.begin(), order_.end(), 0);
    start_.product.assign(K, -std::numeric_limits<T>::infinity());
    start_.row.assign(K, std::numeric_limits<int32_t>::max());
    if (leader) seed(leader);
  }

  Best<T> run() {
    std::optional<Sketch<T>> sketch;
    if (seeded_) sketch.emplace(u_, least_known());
    sketch_ = sketch ? &*sketch : nullptr;
    int64_t K = u_.count(), blocks = ceil_div(K, tile_rows), couples = (blocks + 1) / 2;
    int64_t grain = ceil_div(couples, max_pieces);
    std::atomic<int64_t> done{0};
    std::mutex joining;
    Best<T> joined = start_;
    parallel_for(couples, grain, [&](int64_t begin, int64_t end) {
      Best<T> best = start_;
      for (int64_t i = begin; i < end; i++) {  // a long row of the triangle with a short one
        block(i * tile_rows, best);
        if (blocks - 1 - i != i) block((blocks - 1 - i) * tile_rows, best);
        report_progress(static_cast<double>(++done) / static_cast<double>(couples));
      }
      // Offers may come in any order: the larger product wins, of equal ones the lower row.
      std::lock_guard one(joining);
      for (int64_t k = 0; k < K; k++)
        joined.offer(static_cast<int32_t>(k), best.product[k], best.row[k]);
    });
    return joined;
  }

 private:
  // Rows that share a leader come first, group by group; each row knows its leader and that one
  // row.
  void seed(const int32_t* leader) {
    std::vector<int32_t> size(u_.count());
    for (int64_t k = 0; k < u_.count(); k++) size[leader[k]]++;
    std::sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) {
      bool lone_a = size[leader[a]] == 1, lone_b = size[leader[b]] == 1;
      if (lone_a != lone_b) return lone_b;
      return leader[a] != leader[b] ? leader[a] < leader[b] : a < b;
    });
    for (int32_t k : order_) {
      if (size[leader[k]] == 1) break;
      seeded_++;
      if (leader[k] == k) continue;
      T similarity = u_.product(k, leader[k]);
      start_.offer(k, similarity, leader[k]);
      start_.offer(leader[k], similarity, k);
    }
  }

  // The distance below which every seeded row knows another.
  double least_known() const {
    double least = 1;
    for (int64_t i = 0; i < seeded_; i++)
      least = std::min<double>(least, start_.product[order_[i]]);
    return std::clamp(1 - least, 0.0, 1.0);
  }

  void block(int64_t row, Best<T>& best) {
    int64_t K = u_.count(), n = std::min(tile_rows, K - row);
    for (int64_t column = row; column < K; column += tile_columns) {
      int64_t m = std::min(tile_columns, K - column);
      if (column + m <= seeded_ && sketch_ && !sketch_->exact() && bounded(row, n, column, m, best))
        continue;
      whole(row, n, column, m, best);
    }
  }

  // A tile by the bounds of its products; false when they rule out too little.
  bool bounded(int64_t row, int64_t n, int64_t column, int64_t m, Best<T>& best) {
    int64_t W = sketch_->width();
    T* left = scratch<T>(0, tile_rows * W);
    T* right = scratch<T>(1, tile_columns * W);
    T* bounds = scratch<T>(2, tile_rows * tile_columns);
    for (int64_t i = 0; i < n; i++) std::copy_n(sketch_->row(order_[row + i]), W, left + i * W);
    for (int64_t j = 0; j < m; j++) std::copy_n(sketch_->row(order_[column + j]), W, right + j * W);
    gemm<T>(n, m, W, {left, W}, {right, W, true}, bounds, m, false);
    T lowest = std::numeric_limits<T>::infinity(), slack = static_cast<T>(sketch_->slack());
    for (int64_t j = 0; j < m; j++) lowest = std::min(lowest, best.product[order_[column + j]]);
    int64_t above = 0;
    for (int64_t i = 0; i < n; i++) {
      T least = std::min(lowest, best.product[order_[row + i]]) - slack;
      if (rows<T>().largest(m, bounds + i * m) < least) continue;
      above += std::count_if(bounds + i * m, bounds + (i + 1) * m, [&](T b) { return b >= least; });
      if (above > n * m / 16) return false;
    }
    if (above)
      for (int64_t i = 0; i < n; i++)
        pick(order_[row + i], order_.data() + column, m, bounds + i * m, lowest, slack, best);
    return true;
  }

  void pick(int32_t i, const int32_t* columns, int64_t m, const T* bounds, T lowest, T slack,
            Best<T>& best) {
    if (rows<T>().largest(m, bounds) < std::min(lowest, best.product[i]) - slack) return;
    for (int64_t j = 0; j < m; j++) {
      int32_t k = columns[j];
      if (k == i || bounds[j] < std::min(best.product[i], best.product[k]) - slack) continue;
      T similarity = u_.product(i, k);
      best.offer(i, similarity, k);
      best.offer(k, similarity, i);
    }
  }

  void whole(int64_t row, int64_t n, int64_t column, int64_t m, Best<T>& best) {
    int64_t P = u_.width();
    T* left = scratch<T>(3, tile_rows * P);
    T* right = scratch<T>(4, tile_columns * P);
    T* tile = scratch<T>(2, tile_rows * tile_columns);
    T* known = scratch<T>(5, tile_columns);
    int32_t* from = scratch<int32_t>(6, tile_columns);
    u_.gather(order_.data() + row, n, left);
    u_.gather(order_.data() + column, m, right);
    gemm<T>(n, m, P, {left, P}, {right, P, true}, tile, m, false);
    std::fill_n(known, m, -std::numeric_limits<T>::infinity());
    for (int64_t i = 0; i < n; i++) {
      T* products = tile + i * m;
      int32_t k = order_[row + i];
      if (row + i >= column && row + i < column + m)  // a row is not its own neighbour
        products[row + i - column] = -std::numeric_limits<T>::infinity();
      T most = rows<T>().largest(m, products);
      if (most >= best.product[k])
        for (int64_t j = 0; j < m; j++)
          if (products[j] == most) best.offer(k, most, order_[column + j]);
      rows<T>().keep_larger(m, T(1), products, k, known, from);
    }
    for (int64_t j = 0; j < m; j++)
      if (std::isfinite(known[j])) best.offer(order_[column + j], known[j], from[j]);
  }

  const Directions<T>& u_;
  const Sketch<T>* sketch_ = nullptr;
  std::vector<int32_t> order_;
  int64_t seeded_ = 0;  // the first rows of the order that know another near one
  Best<T> start_;
};

// Numbers that are no groups give no head start; the result is the same.
bool are_groups(const int32_t* leader, int64_t K) {
  return std::all_of(leader, leader + K,
                     [&](int32_t l) { return l >= 0 && l < K && leader[l] == l; });
}

void forward(const Run& run) {
  report_progress(0);
  const Array& w = run.in[0];
  const int32_t* leader = run.in.size() == 2 ? run.in[1].as<int32_t>() : nullptr;
  if (leader && !are_groups(leader, w.dim(0))) leader = nullptr;
  with_floating(w.dtype, [&]<class T>() {
    Directions<T> u(w);
    Best<T> best = Search<T>(u, leader).run();
    for (int64_t k = 0; k < u.count(); k++) {
      run.out[0].as<int32_t>()[k] = best.row[k];
      run.out[1].as<double>()[k] = std::max(0.0, 1 - u.cosine(k, best.row[k]));
    }
  });
}

}  // namespace

extern const Kernel nearest_prototypes_cpu = {forward, nullptr};

}  // namespace protea
