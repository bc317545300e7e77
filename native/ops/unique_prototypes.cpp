// unique_prototypes: which prototypes are copies of each other at cosine distance below epsilon
//   u = w / max(||w||_2, 1e-12), distance(i, j) = 1 - <u_i, u_j>
//   w (K, P), attrs epsilons (list of E <= 64), components (0, 1 or 2) -> leader (E, K) i32; (2 E,
//   K) when components = 2 greedy (components = 0): rows in index order; row i belongs to the FIRST
//   row that is a leader and has distance < epsilon, otherwise it leads itself. components (1): the
//   smallest row of the connected component of the graph distance < epsilon. Both (2): E rows of
//   the first, then E of the second. no gradient. Exact: what rounding leaves in doubt is decided
//   in double. All epsilons are served by one sweep, whose work is that of the smallest of them.
//   Nothing of size K x K is made; memory is that of the directions and a sketch of 64 numbers a
//   row. Govindarajan et al. 2024, section 3: M unique prototypes and their redundancy factors
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

void forward(const Run& run) {
  const Array& w = run.in[0];
  int64_t K = w.dim(0);
  if (K == 0) return;
  report_progress(0);
  std::span<const double> epsilons = run.attrs.list("epsilons");
  int64_t components = run.attrs.integer("components", 0);
  auto E = static_cast<int64_t>(epsilons.size());
  auto* leader = run.out[0].as<int32_t>();
  with_floating(w.dtype, [&]<class T>() {
    Directions<T> u(w);
    GreedyGroups<T>(u, epsilons, leader).run();
    int32_t* component = components == 2 ? leader + E * K : leader;
    if (components == 2) std::copy_n(leader, E * K, component);
    parallel_for(components ? E : 0, 1, [&](int64_t e, int64_t) {
      ConnectedGroups<T>(u, epsilons[e], component + e * K).run();
    });
  });
  trim_heap();
}

}  // namespace

extern const Kernel unique_prototypes_cpu = {forward, nullptr};

}  // namespace protea
