#pragma once
// Connected components of the graph "closer than epsilon", from greedy groups.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "../core/parallel.h"
#include "../core/scratch.h"
#include "prototype_directions.h"
#include "row_buckets.h"

namespace protea {

// Members of a greedy group are connected through their leader, so only pairs of groups remain. By
// the triangle inequality of angles two groups can touch only when their leaders are closer than
// theta plus both groups' radii; two leaders on their own never do, as greedy leaders are not near
// each other. Rows of different components at a larger epsilon are not near at this one either:
// groups meet only within such a cell, which leaves little to do for all epsilons but the largest.
template <class T>
class ConnectedGroups {
 public:
  // cell (K): the component of each row at a larger epsilon, or null: one cell of all rows.
  // component (K): on entry the leader of each row, on return the smallest row of its component.
  ConnectedGroups(const Directions<T>& u, double epsilon, const int32_t* cell, int32_t* component)
      : u_(u), epsilon_(epsilon), theta_(0), cell_(cell), parent_(component) {
    theta_ = angle_up_to(1 - epsilon);
  }

  void run() {
    collect_groups();
    collect_cells();
    auto count = static_cast<int64_t>(cells_.size());
    auto is_small = [](const Cell& cell) { return cell.end - cell.begin <= small_cell; };
    parallel_for(count, 64, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; c++)
        if (is_small(cells_[c])) join_all(cells_[c]);
    });
    for (const Cell& cell : cells_)
      if (!is_small(cell)) meet_all(cell);
    for (auto [a, b] : large_pairs_)
      if (find(leaders_[a]) != find(leaders_[b]) && touch(a, b)) unite(leaders_[a], leaders_[b]);
    for (int64_t k = 0; k < u_.count(); k++) parent_[k] = find(static_cast<int32_t>(k));
  }

 private:
  static constexpr int64_t tile_rows = 256, tile_columns = 1024, small_cell = 64;
  // Pairs of members that are multiplied one by one, and that a thread takes on alone.
  static constexpr size_t few_pairs = 1 << 12, many_pairs = 1 << 22;

  // Groups begin ... end - 1 may touch; those below `wide` have more than their leader.
  struct Cell {
    int64_t begin, wide, end;
  };

  // The largest angle whose cosine may have been rounded to this value.
  double angle_up_to(double cosine) const {
    return std::acos(std::clamp(cosine - u_.doubt(), -1.0, 1.0));
  }

  // The least rounded product of two directions at most this angle apart.
  double least_product(double angle) const {
    return std::cos(std::min(angle, std::numbers::pi)) - u_.doubt();
  }

  int32_t cell_of(int64_t g) const { return cell_ ? cell_[leaders_[g]] : 0; }

  // Groups cell by cell, in each those with more than their leader first.
  void collect_groups() {
    int64_t K = u_.count();
    std::vector<int32_t> size(K), number(K);
    for (int64_t k = 0; k < K; k++) size[parent_[k]]++;
    for (int64_t k = 0; k < K; k++)
      if (size[k]) leaders_.push_back(static_cast<int32_t>(k));
    std::sort(leaders_.begin(), leaders_.end(), [&](int32_t a, int32_t b) {
      if (cell_ && cell_[a] != cell_[b]) return cell_[a] < cell_[b];
      return (size[a] == 1) != (size[b] == 1) ? size[a] > 1 : a < b;
    });
    auto count = static_cast<int32_t>(leaders_.size());
    for (int32_t g = 0; g < count; g++) number[leaders_[g]] = g;
    members_.emplace(K, count, [&](int64_t k) { return number[parent_[k]]; });
    radius_.assign(count, 0);
  }

  // Cells in which there is something to join.
  void collect_cells() {
    auto groups = static_cast<int64_t>(leaders_.size());
    for (int64_t begin = 0, end = 0; begin < groups; begin = end) {
      int64_t wide = begin;
      for (end = begin; end < groups && cell_of(end) == cell_of(begin); end++)
        if (members_->size(end) > 1) wide = end + 1;
      if (wide > begin && end > begin + 1) cells_.push_back({begin, wide, end});
    }
  }

  // Radii of a cell's groups; the largest of them.
  double measure(const Cell& cell) {
    parallel_for(cell.wide - cell.begin, 64, [&](int64_t from, int64_t to) {
      for (int64_t g = cell.begin + from; g < cell.begin + to; g++)
        for (int32_t k : (*members_)[g])
          if (k != leaders_[g])
            radius_[g] = std::max(radius_[g], angle_up_to(u_.product(k, leaders_[g])));
    });
    return *std::max_element(radius_.begin() + cell.begin, radius_.begin() + cell.wide);
  }

  void join_all(const Cell& cell) {
    measure(cell);
    for (int64_t a = cell.begin; a < cell.wide; a++)
      for (int64_t b = a + 1; b < cell.end; b++) join(a, b);
  }

  // The same by the bounds of the leaders' products, tile by tile.
  void meet_all(const Cell& cell) {
    double widest = measure(cell);
    std::vector<int32_t> which(leaders_.begin() + cell.begin, leaders_.begin() + cell.end);
    const Sketch<T> sketch(u_, 1 - least_product(theta_ + 2 * widest), &which);
    parallel_for(cell.wide - cell.begin, tile_rows, [&](int64_t from, int64_t to) {
      for (int64_t column = from; column < cell.end - cell.begin; column += tile_columns)
        meet(cell, sketch, widest, {from, to},
             {column, std::min(column + tile_columns, cell.end - cell.begin)});
    });
  }

  struct Range {
    int64_t begin, end;
  };

  void meet(const Cell& cell, const Sketch<T>& sketch, double widest, Range left, Range right) {
    int64_t W = sketch.width(), n = left.end - left.begin, m = right.end - right.begin;
    T* bounds = scratch<T>(2, tile_rows * tile_columns);
    gemm<T>(n, m, W, {sketch.row(left.begin), W}, {sketch.row(right.begin), W, true}, bounds, m,
            false);
    for (int64_t i = 0; i < n; i++) {
      int64_t a = cell.begin + left.begin + i;
      double least = least_product(theta_ + radius_[a] + widest) - sketch.slack();
      if (rows<T>().largest(m, bounds + i * m) < least) continue;
      for (int64_t j = 0; j < m; j++)
        if (bounds[i * m + j] >= least) join(a, cell.begin + right.begin + j);
    }
  }

  void join(int64_t a, int64_t b) {
    if (a >= b || find(leaders_[a]) == find(leaders_[b])) return;
    double product = u_.product(leaders_[a], leaders_[b]);
    if (product < least_product(theta_ + radius_[a] + radius_[b])) return;
    if (static_cast<size_t>(members_->size(a)) * members_->size(b) > many_pairs) {
      std::lock_guard one(adding_);
      large_pairs_.emplace_back(a, b);
    } else if (touch(a, b)) {
      unite(leaders_[a], leaders_[b]);
    }
  }

  // Members of group g that a member of group `other` may be near to.
  std::vector<int32_t> facing(int64_t g, int64_t other) const {
    double least = least_product(theta_ + radius_[other]);
    std::vector<int32_t> found;
    for (int32_t k : (*members_)[g])
      if (u_.product(k, leaders_[other]) >= least) found.push_back(k);
    return found;
  }

  bool near(int32_t x, int32_t y, double product) const { return u_.near(x, y, product, epsilon_); }

  bool touch(int64_t a, int64_t b) const {
    std::vector<int32_t> from = facing(a, b), to = facing(b, a);
    if (from.size() * to.size() > few_pairs) return touch_by_tiles(from, to);
    for (int32_t x : from)
      for (int32_t y : to)
        if (near(x, y, u_.product(x, y))) return true;
    return false;
  }

  // Members that face each other are too close for sketches to tell them apart.
  bool touch_by_tiles(const std::vector<int32_t>& from, const std::vector<int32_t>& to) const {
    auto N = static_cast<int64_t>(from.size()), M = static_cast<int64_t>(to.size());
    std::atomic<bool> found{false};
    parallel_for(N, tile_rows, [&](int64_t begin, int64_t end) {
      for (int64_t column = 0; column < M && !found; column += tile_columns)
        if (tile_touches(from.data() + begin, end - begin, to.data() + column,
                         std::min(tile_columns, M - column)))
          found = true;
    });
    return found;
  }

  bool tile_touches(const int32_t* from, int64_t n, const int32_t* to, int64_t m) const {
    int64_t P = u_.width();
    T* left = scratch<T>(3, tile_rows * P);
    T* right = scratch<T>(4, tile_columns * P);
    T* products = scratch<T>(5, tile_rows * tile_columns);
    u_.gather(from, n, left);
    u_.gather(to, m, right);
    gemm<T>(n, m, P, {left, P}, {right, P, true}, products, m, false);
    double least = 1 - epsilon_ - u_.doubt();
    for (int64_t i = 0; i < n; i++) {
      const T* row = products + i * m;
      if (rows<T>().largest(m, row) < least) continue;
      for (int64_t j = 0; j < m; j++)
        if (row[j] >= least && near(from[i], to[j], row[j])) return true;
    }
    return false;
  }

  // Threads may unite at the same time: a root hangs below a smaller one or not at all, so the root
  // of a component ends as its smallest row, whatever the order.
  std::atomic_ref<int32_t> parent(int32_t k) const { return std::atomic_ref(parent_[k]); }

  int32_t find(int32_t k) const {
    for (;;) {
      int32_t up = parent(k).load(std::memory_order_relaxed);
      if (up == k) return k;
      int32_t next = parent(up).load(std::memory_order_relaxed);
      if (next != up) parent(k).store(next, std::memory_order_relaxed);
      k = next;
    }
  }

  void unite(int32_t x, int32_t y) {
    for (;;) {
      int32_t a = find(x), b = find(y);
      if (a == b) return;
      int32_t high = std::max(a, b);
      if (parent(high).compare_exchange_strong(high, std::min(a, b))) return;
    }
  }

  const Directions<T>& u_;
  double epsilon_, theta_;
  const int32_t* cell_;
  int32_t* parent_;
  std::vector<int32_t> leaders_;
  std::optional<RowBuckets> members_;  // of each group
  std::vector<double> radius_;
  std::vector<Cell> cells_;
  std::mutex adding_;
  std::vector<std::pair<int64_t, int64_t>> large_pairs_;  // of groups: all threads take one on
};

}  // namespace protea
