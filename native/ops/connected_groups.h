#pragma once
// Connected components of the graph "closer than epsilon", from greedy groups.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "../core/scratch.h"
#include "prototype_directions.h"

namespace protea {

// Members of a greedy group are connected through their leader, so only pairs of groups remain. By
// the triangle inequality of angles two groups can touch only when their leaders are closer than
// theta plus both groups' radii; two leaders on their own never do, as greedy leaders are not near
// each other.
template <class T>
class ConnectedGroups {
 public:
  // component (K): on entry the leader of each row, on return the smallest row of its component.
  ConnectedGroups(const Directions<T>& u, double epsilon, int32_t* component)
      : u_(u), epsilon_(epsilon), theta_(0), parent_(component) {
    theta_ = angle_up_to(1 - epsilon);
    collect();
  }

  void run() {
    std::vector<int32_t> order(leaders_.size());  // groups with more than their leader come first
    std::iota(order.begin(), order.end(), 0);
    auto wide = std::stable_partition(order.begin(), order.end(),
                                      [&](int32_t g) { return size_of(g) > 1; }) -
                order.begin();
    if (wide > 0) meet_all(order, wide);
    for (int64_t k = 0; k < u_.count(); k++) parent_[k] = find(static_cast<int32_t>(k));
  }

 private:
  static constexpr int64_t tile_rows = 256, tile_columns = 1024;

  // The largest angle whose cosine may have been rounded to this value.
  double angle_up_to(double cosine) const {
    return std::acos(std::clamp(cosine - u_.doubt(), -1.0, 1.0));
  }

  // The least rounded product of two directions at most this angle apart.
  double least_product(double angle) const {
    return std::cos(std::min(angle, std::numbers::pi)) - u_.doubt();
  }

  int64_t group_count() const { return static_cast<int64_t>(leaders_.size()); }
  int64_t size_of(int32_t g) const { return begin_[g + 1] - begin_[g]; }

  // Leaders, members of each group and its radius.
  void collect() {
    std::vector<int32_t> number(u_.count());
    for (int64_t k = 0; k < u_.count(); k++)
      if (parent_[k] == k) {
        number[k] = static_cast<int32_t>(leaders_.size());
        leaders_.push_back(static_cast<int32_t>(k));
      }
    begin_.assign(leaders_.size() + 1, 0);
    radius_.assign(leaders_.size(), 0);
    for (int64_t k = 0; k < u_.count(); k++) {
      int32_t g = number[parent_[k]];
      begin_[g + 1]++;
      if (parent_[k] != k)
        radius_[g] = std::max(radius_[g], angle_up_to(u_.product(k, parent_[k])));
    }
    for (size_t g = 0; g < leaders_.size(); g++) begin_[g + 1] += begin_[g];
    std::vector<int64_t> next(begin_.begin(), begin_.end() - 1);
    members_.resize(u_.count());
    for (int64_t k = 0; k < u_.count(); k++)
      members_[next[number[parent_[k]]]++] = static_cast<int32_t>(k);
    widest_ = radius_.empty() ? 0 : *std::max_element(radius_.begin(), radius_.end());
  }

  // The first `wide` groups with each other and with the rest.
  void meet_all(const std::vector<int32_t>& order, int64_t wide) {
    const Sketch<T> sketch(u_, 1 - least_product(theta_ + 2 * widest_), &leaders_);
    for (int64_t row = 0; row < wide; row += tile_rows)
      for (int64_t column = row; column < group_count(); column += tile_columns)
        meet(sketch, order.data() + row, std::min(tile_rows, wide - row), order.data() + column,
             std::min(tile_columns, group_count() - column));
  }

  // Two sets of groups, by the bounds of their leaders' products.
  void meet(const Sketch<T>& sketch, const int32_t* left, int64_t n, const int32_t* right,
            int64_t m) {
    int64_t W = sketch.width();
    T* rows_left = scratch<T>(0, tile_rows * W);
    T* rows_right = scratch<T>(1, tile_columns * W);
    T* bounds = scratch<T>(2, tile_rows * tile_columns);
    for (int64_t i = 0; i < n; i++) std::copy_n(sketch.row(left[i]), W, rows_left + i * W);
    for (int64_t j = 0; j < m; j++) std::copy_n(sketch.row(right[j]), W, rows_right + j * W);
    gemm<T>(n, m, W, {rows_left, W}, {rows_right, W, true}, bounds, m, false);
    for (int64_t i = 0; i < n; i++) {
      double least = least_product(theta_ + radius_[left[i]] + widest_) - sketch.slack();
      if (rows<T>().largest(m, bounds + i * m) < least) continue;
      for (int64_t j = 0; j < m; j++)
        if (bounds[i * m + j] >= least) join(left[i], right[j]);
    }
  }

  void join(int32_t a, int32_t b) {
    if (a == b) return;
    int32_t x = find(leaders_[a]), y = find(leaders_[b]);
    if (x == y) return;
    double product = u_.product(leaders_[a], leaders_[b]);
    if (product < least_product(theta_ + radius_[a] + radius_[b]) || !touch(a, b)) return;
    parent_[std::max(x, y)] = std::min(x, y);
  }

  // Members of group g that a member of group `other` may be near to.
  std::vector<int32_t> facing(int32_t g, int32_t other) const {
    double least = least_product(theta_ + radius_[other]);
    std::vector<int32_t> found;
    for (int64_t i = begin_[g]; i < begin_[g + 1]; i++)
      if (u_.product(members_[i], leaders_[other]) >= least) found.push_back(members_[i]);
    return found;
  }

  bool touch(int32_t a, int32_t b) const {
    std::vector<int32_t> from = facing(a, b), to = facing(b, a);
    for (int32_t x : from)
      for (int32_t y : to)
        if (u_.near(x, y, u_.product(x, y), epsilon_)) return true;
    return false;
  }

  int32_t find(int32_t k) {
    while (parent_[k] != k) k = parent_[k] = parent_[parent_[k]];
    return k;
  }

  const Directions<T>& u_;
  double epsilon_, theta_, widest_ = 0;
  int32_t* parent_;
  std::vector<int32_t> leaders_, members_;
  std::vector<int64_t> begin_;
  std::vector<double> radius_;
};

}  // namespace protea
