// unique_prototypes: which prototypes are copies of each other at cosine distance below epsilon
//   u = w / max(||w||_2, 1e-12), distance(i, j) = 1 - <u_i, u_j>
//   w (K, P), attrs epsilons (list of E <= 64), components (0, 1 or 2)
//   -> leader (E, K) i32, or (2 E, K) when components = 2
//   components 0, greedy: rows in index order; row i belongs to the FIRST row that is a leader and
//     has distance < epsilon, otherwise it leads itself
//   components 1: the smallest row of the connected component of the graph distance < epsilon
//   components 2: E rows of the first, then E of the second
//   no gradient. Exact: what rounding leaves in doubt is decided in double. The largest epsilon is
//   served first; all others within its components. Nothing of size K x K is made; memory is that
//   of the directions and a sketch of 64 numbers a row.
//   Govindarajan et al. 2024, section 3: M unique prototypes and their redundancy factors
#include <algorithm>
#include <numeric>

#include "../core/op.h"
#include "../core/progress.h"
#include "connected_groups.h"
#include "greedy_groups.h"

namespace protea {

Outputs unique_prototypes_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1, Code::Shape, "[unique_prototypes] takes one w, got ", in.size());
  const Tensor& w = in[0];
  check(w.rank() == 2 && w.dim(1) > 0 && is_floating(w.dtype), Code::Shape,
        "[unique_prototypes] w must be (K, P > 0) of f32 or f64, got ", w.shape, " of ",
        name_of(w.dtype));
  std::span<const double> epsilons = attrs.list("epsilons");
  check(epsilons.size() <= 64, Code::Unsupported, "[unique_prototypes] at most 64 epsilons, got ",
        epsilons.size());
  for (double epsilon : epsilons)
    check(epsilon >= 0 && epsilon <= 2, Code::Unsupported,
          "[unique_prototypes] epsilon must be in [0, 2], got ", epsilon);
  auto rules = attrs.integer("components", 0) == 2 ? 2 : 1;
  return {{{Shape{rules * static_cast<int64_t>(epsilons.size()), w.dim(0)}, Dtype::I32}}};
}

namespace {

// Both rules at all epsilons, from the largest to the smallest. Rows in different components at one
// epsilon are not near at a smaller one, so the components of the largest are cells that all else
// happens within.
template <class T>
class Grouping {
 public:
  Grouping(const Directions<T>& u, std::vector<Level> levels)
      : u_(u), levels_(std::move(levels)), open_(u.count()) {
    std::stable_sort(levels_.begin(), levels_.end(),
                     [](const Level& a, const Level& b) { return a.epsilon > b.epsilon; });
  }

  // Leaders at every level.
  void lead() {
    std::vector<int32_t> all(u_.count());
    std::iota(all.begin(), all.end(), 0);
    std::span<const Level> levels(levels_), widest = levels.first(1), rest = levels.subspan(1);
    GreedyGroups<T>(u_, widest, std::move(all), open_).run({0, rest.empty() ? 1 : first_part});
    if (rest.empty()) return;
    cell_.assign(widest[0].leader, widest[0].leader + u_.count());
    ConnectedGroups<T>(u_, widest[0].epsilon, nullptr, cell_.data()).run();
    lead_within({u_.count(), u_.count(), [&](int64_t k) { return cell_[k]; }}, rest);
  }

  // Components at every level, from its leaders; `component` gives the place of a level's.
  template <class Place>
  void connect(Place&& component) {
    const int32_t* cell = nullptr;
    for (const Level& level : levels_) {
      int32_t* to = component(level);
      bool known = !cell && !cell_.empty();
      std::copy_n(known ? cell_.data() : level.leader, u_.count(), to);
      if (!known) ConnectedGroups<T>(u_, level.epsilon, cell, to).run();
      cell = to;
    }
  }

 private:
  static constexpr double first_part = 0.5;

  void lead_within(const RowBuckets& cells, std::span<const Level> levels) {
    auto group = [&](int64_t c, Part part) {
      GreedyGroups<T>(u_, levels, {cells[c].begin(), cells[c].end()}, open_).run(part);
    };
    parallel_for(cells.count(), 256, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; c++)
        if (cells.size(c) && cells.size(c) <= GreedyGroups<T>::block_rows) group(c, {});
    });
    double K = static_cast<double>(u_.count());
    for (int64_t c = 0; c < cells.count(); c++)
      if (cells.size(c) > GreedyGroups<T>::block_rows)
        group(c, {first_part + (1 - first_part) * cells.begin[c] / K,
                  first_part + (1 - first_part) * cells.begin[c + 1] / K});
  }

  const Directions<T>& u_;
  std::vector<Level> levels_;
  std::vector<uint64_t> open_;
  std::vector<int32_t> cell_;  // components at the largest epsilon, once there are smaller ones
};

void forward(const Run& run) {
  const Array& w = run.in[0];
  int64_t K = w.dim(0);
  std::span<const double> epsilons = run.attrs.list("epsilons");
  if (K == 0 || epsilons.empty()) return;
  report_progress(0);
  int64_t components = run.attrs.integer("components", 0);
  auto E = static_cast<int64_t>(epsilons.size());
  auto* leader = run.out[0].as<int32_t>();
  std::vector<Level> levels;
  for (int64_t e = 0; e < E; e++) levels.push_back({epsilons[e], leader + e * K});
  with_floating(w.dtype, [&]<class T>() {
    Directions<T> u(w);
    Grouping<T> grouping(u, levels);
    grouping.lead();
    int64_t offset = components == 2 ? E * K : 0;
    if (components) grouping.connect([&](const Level& level) { return level.leader + offset; });
  });
  trim_heap();
  report_progress(1);
}

}  // namespace

extern const Kernel unique_prototypes_cpu = {forward, nullptr};

}  // namespace protea
