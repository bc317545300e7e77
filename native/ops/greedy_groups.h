#pragma once
// The greedy rule for several epsilons in one sweep.
#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "../core/parallel.h"
#include "../core/progress.h"
#include "../core/scratch.h"
#include "prototype_directions.h"

namespace protea {

// An epsilon and where the leader of each row goes (K).
struct Level {
  double epsilon;
  int32_t* leader;
};

// What part of the whole work a sweep is, for reports of progress.
struct Part {
  double begin = 0, end = 1;
};

// Rows in index order, a block at a time: those of the block that no leader took become leaders or
// join one of their block; the block's leaders then take what they can of all later rows. A row
// that is taken for every epsilon is met no more. Leaders come in index order, so the first that is
// near is the one a row joins.
template <class T>
class GreedyGroups {
 public:
  static constexpr int64_t block_rows = 256;  // that need no sketches

  // Groups `which` rows, in index order, among themselves. open (K) is working memory.
  GreedyGroups(const Directions<T>& u, std::span<const Level> levels, std::vector<int32_t> which,
               std::vector<uint64_t>& open)
      : u_(u),
        levels_(levels),
        bound_(1 - widest(levels)),
        waiting_(std::move(which)),
        open_(open) {
    if (count() > block_rows) sketch_.emplace(u, 1 - bound_, &waiting_);
    auto all = levels.size() == 64 ? ~uint64_t{0} : (uint64_t{1} << levels.size()) - 1;
    for (int32_t k : waiting_) open_[k] = all;
  }

  void run(Part part) {
    auto all = static_cast<double>(count());
    while (first_ < count()) {
      int64_t n = std::min(block_rows, count() - first_);
      settle(n);
      first_ += n;
      if (first_ == count()) break;
      cover();
      drop_taken();
      double left = static_cast<double>(count() - first_) / all;
      report_progress(part.begin + (part.end - part.begin) * (1 - left * left));
    }
  }

 private:
  static constexpr int64_t piece_rows = 512;

  struct Leader {
    int32_t row;
    uint64_t leads;  // bit e: it leads at epsilon e
  };

  static double widest(std::span<const Level> levels) {
    double most = 0;
    for (const Level& level : levels) most = std::max(most, level.epsilon);
    return most;
  }

  int64_t count() const { return static_cast<int64_t>(waiting_.size()); }

  // Row i meets a leader at a known product.
  void meet(int32_t i, const Leader& leader, double similarity) {
    for (uint64_t bits = open_[i] & leader.leads; bits; bits &= bits - 1) {
      int e = __builtin_ctzll(bits);
      if (!u_.near(i, leader.row, similarity, levels_[e].epsilon)) continue;
      levels_[e].leader[i] = leader.row;
      open_[i] &= ~(uint64_t{1} << e);
    }
  }

  // The next n waiting rows among themselves, in order.
  void settle(int64_t n) {
    const int32_t* block = waiting_.data() + first_;
    int64_t P = u_.width();
    T* gathered = scratch<T>(0, block_rows * P);
    T* similarity = scratch<T>(1, block_rows * block_rows);
    u_.gather(block, n, gathered);
    gemm<T>(n, n, P, {gathered, P}, {gathered, P, true}, similarity, n, false);
    leaders_.clear();
    leader_sketches_.clear();
    std::vector<int64_t> at;
    for (int64_t i = 0; i < n; i++) {
      for (size_t l = 0; l < leaders_.size() && open_[block[i]]; l++) {
        double value = similarity[i * n + at[l]];
        if (value >= bound_ - u_.doubt()) meet(block[i], leaders_[l], value);
      }
      if (!open_[block[i]]) continue;
      lead(block[i], first_ + i);
      at.push_back(i);
    }
  }

  void lead(int32_t row, int64_t waiting) {
    for (uint64_t bits = open_[row]; bits; bits &= bits - 1)
      levels_[__builtin_ctzll(bits)].leader[row] = row;
    leaders_.push_back({row, open_[row]});
    open_[row] = 0;
    if (!sketch_) return;
    const T* sketch = sketch_->row(waiting);
    leader_sketches_.insert(leader_sketches_.end(), sketch, sketch + sketch_->width());
  }

  void cover() {
    if (leaders_.empty()) return;
    parallel_for(count() - first_, piece_rows,
                 [&](int64_t begin, int64_t end) { cover_piece(first_ + begin, end - begin); });
  }

  void cover_piece(int64_t begin, int64_t n) {
    auto m = static_cast<int64_t>(leaders_.size());
    int64_t W = sketch_->width();
    T* bounds = scratch<T>(2, piece_rows * block_rows);
    gemm<T>(n, m, W, {sketch_->row(begin), W}, {leader_sketches_.data(), W, true}, bounds, m,
            false);
    T least = static_cast<T>(bound_ - sketch_->slack());
    int64_t candidates = 0;
    for (int64_t i = 0; i < n; i++) candidates += rows<T>().largest(m, bounds + i * m) >= least;
    if (!candidates) return;
    // Where bounds rule out little, one whole product of the tile is cheaper than many single ones.
    bool exact = sketch_->exact();
    if (!exact && candidates > n / 2 && crowded(n, m, bounds, least)) {
      multiply(begin, n, bounds);
      exact = true;
    }
    for (int64_t i = 0; i < n; i++) take(waiting_[begin + i], m, bounds + i * m, least, exact);
  }

  static bool crowded(int64_t n, int64_t m, const T* bounds, T least) {
    int64_t above = std::count_if(bounds, bounds + n * m, [&](T b) { return b >= least; });
    return above > n * m / 16;
  }

  void multiply(int64_t begin, int64_t n, T* similarity) {
    auto m = static_cast<int64_t>(leaders_.size());
    int64_t P = u_.width();
    T* left = scratch<T>(3, piece_rows * P);
    T* right = scratch<T>(4, block_rows * P);
    u_.gather(waiting_.data() + begin, n, left);
    for (int64_t l = 0; l < m; l++) std::copy_n(u_.row(leaders_[l].row), P, right + l * P);
    gemm<T>(n, m, P, {left, P}, {right, P, true}, similarity, m, false);
  }

  void take(int32_t row, int64_t m, const T* bounds, T least, bool exact) {
    if (!open_[row] || rows<T>().largest(m, bounds) < least) return;
    for (int64_t l = 0; l < m && open_[row]; l++) {
      if (bounds[l] < least || !(open_[row] & leaders_[l].leads)) continue;
      meet(row, leaders_[l], exact ? bounds[l] : u_.product(row, leaders_[l].row));
    }
  }

  // Closes the ranks once a fifth of the waiting rows are taken.
  void drop_taken() {
    auto taken = std::count_if(waiting_.begin() + first_, waiting_.end(),
                               [&](int32_t k) { return !open_[k]; });
    if (5 * taken < count() - first_) return;
    int64_t to = 0, W = sketch_->width();
    for (int64_t from = first_; from < count(); from++) {
      if (!open_[waiting_[from]]) continue;
      std::copy_n(sketch_->row(from), W, sketch_->row(to));
      waiting_[to++] = waiting_[from];
    }
    waiting_.resize(to);
    first_ = 0;
  }

  const Directions<T>& u_;
  std::span<const Level> levels_;
  double bound_;                     // products below it matter at no epsilon
  std::vector<int32_t> waiting_;     // rows from first_ on are still to be met, in index order
  std::optional<Sketch<T>> sketch_;  // of the waiting rows, in their order
  std::vector<uint64_t>& open_;      // bit e: the row has no leader yet at epsilon e
  int64_t first_ = 0;
  std::vector<Leader> leaders_;  // of the block at hand
  std::vector<T> leader_sketches_;
};

}  // namespace protea
