#include <cmath>

#include "../cuda/followers.h"
#include "../cuda/map.cuh"
#include "../cuda/nearest.h"
#include "../cuda/sums.cuh"
#include "koleo.h"

namespace protea {
namespace {

using gpu::Candidate;
using gpu::Directions;
using gpu::Followers;

enum { loss, nearest, norms, distances };

// The distance of every row to its nearest, in double; a warp a row.
__global__ void distance_kernel(Directions u, const Candidate* best, double pairwise,
                                Repulsion repulsion, int32_t* nearest_of, float* distance_of,
                                double* value) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  int64_t row = i < u.rows ? i : 0;
  int64_t j = gpu::row_of(best[row], row);
  double square = 0;
  for (int64_t d = gpu::lane_index(); d < u.depth; d += 32) {
    double difference = static_cast<double>(u.at(row, d)) - u.at(j, d) + pairwise;
    square += difference * difference;
  }
  double distance = sqrt(gpu::warp_sum(square));
  if (i >= u.rows || gpu::lane_index() > 0) return;
  nearest_of[i] = static_cast<int32_t>(j);
  distance_of[i] = static_cast<float>(distance);
  value[i] = repulsion.value(distance);
}

// --- backward

// With g_i = -dloss / B slope(d_i) / d_i
//   du_i = g_i (u_i - u_nn(i) + e) - Σ_{j: nn(j) = i} g_j (u_j - u_i + e) in the order of j
//   dx_i = (du_i - u_i <u_i, du_i>) / ||x_i||
struct Pull {
  Directions u;
  Followers followers;  // of each row's nearest
  const float *distance, *norm, *dloss;
  double pairwise;
  Repulsion repulsion;

  GPU_DEVICE float of(int64_t i) const {
    double share = -static_cast<double>(*dloss) / static_cast<double>(u.rows);
    return static_cast<float>(share * repulsion.slope_over_distance(distance[i]));
  }
};

constexpr int held = 16;  // columns of a row that a lane holds at a time

// du of columns begin + lane, begin + lane + 32, ... of a row, by a warp.
GPU_DEVICE void pull_columns(const Pull& pull, int64_t row, int64_t begin, float (&du)[held]) {
  const Directions& u = pull.u;
  auto pairwise = static_cast<float>(pull.pairwise);
  float mine = pull.of(row);
  int64_t first = begin + gpu::lane_index(), other = pull.followers.list[row];
  for (int n = 0; n < held; n++) {
    int64_t d = first + 32 * n;
    du[n] = d < u.depth ? mine * (u.at(row, d) - u.at(other, d) + pairwise) : 0;
  }
  pull.followers.each(row, [&](int64_t follower) {
    float g = pull.of(follower);
    if (g == 0) return;
    for (int n = 0; n < held; n++) {
      int64_t d = first + 32 * n;
      if (d < u.depth) du[n] -= g * (u.at(follower, d) - u.at(row, d) + pairwise);
    }
  });
}

// A warp a row. Rows too long to be held are made twice.
__global__ void pull_kernel(Pull pull, float eps, float* dx, bool accumulate) {
  constexpr int64_t width = 32 * held;
  int64_t i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  const Directions& u = pull.u;
  int64_t row = i < u.rows ? i : 0;
  float du[held], along = 0;
  for (int64_t begin = 0; begin < u.depth; begin += width) {
    pull_columns(pull, row, begin, du);
    for (int n = 0; n < held; n++) along += du[n] * u.at(row, begin + gpu::lane_index() + 32 * n);
  }
  along = pull.norm[row] < eps ? 0 : gpu::warp_sum(along);
  for (int64_t begin = 0; begin < u.depth; begin += width) {
    if (u.depth > width) pull_columns(pull, row, begin, du);
    for (int n = 0; n < held; n++) {
      int64_t d = begin + gpu::lane_index() + 32 * n;
      if (i < u.rows && d < u.depth)
        gpu::put(dx, row * u.depth + d, (du[n] - along * u.at(row, d)) * u.inverse[row],
                 accumulate);
    }
  }
}

struct Inverse {
  const float* norm;
  float eps;
  GPU_DEVICE float operator()(int64_t i) const { return 1 / (norm[i] < eps ? eps : norm[i]); }
};

void forward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  const Array& x = run.in[0];
  int64_t B = x.dim(0);
  float *norm = run.out[norms].as<float>(), *inverse = gpu.scratch<float>(2, B);
  double* none = nullptr;
  GPU_LAUNCH_ROWS(gpu, gpu::lengths_kernel, B, x.dim(1), x.as<float>(),
                  run.attrs.number("norm_eps"), norm, inverse, none);
  Directions u{x.as<float>(), inverse, B, x.dim(1)};
  auto* best = gpu.scratch<Candidate>(0, B);
  auto* value = gpu.scratch<double>(1, B);
  gpu::search_nearest(gpu, u, best);
  GPU_LAUNCH(gpu, distance_kernel, gpu::a_warp_each(B), u, best, run.attrs.number("pairwise_eps"),
             Repulsion(run.attrs), run.out[nearest].as<int32_t>(), run.out[distances].as<float>(),
             value);
  gpu::total(gpu, gpu::Terms{value}, B,
             gpu::StoreTotal{run.out[loss].as<float>(), -1 / static_cast<double>(B)});
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx || !run.dout[0]) return;
  Gpu& gpu = Gpu::of(run);
  const Array& x = run.in[0];
  int64_t B = x.dim(0);
  auto eps = static_cast<float>(run.attrs.number("norm_eps"));
  const float* norm = run.out[norms].as<float>();
  float* inverse = gpu.scratch<float>(1, B);
  gpu::store(gpu, Inverse{norm, eps}, inverse, B);
  Pull pull{{x.as<float>(), inverse, B, x.dim(1)},
            gpu::follow(gpu, 2, run.out[nearest].as<int32_t>(), B, B),
            run.out[distances].as<float>(),
            norm,
            run.dout[0].as<float>(),
            run.attrs.number("pairwise_eps"),
            Repulsion(run.attrs)};
  GPU_LAUNCH(gpu, pull_kernel, gpu::a_warp_each(B), pull, eps, dx.as<float>(), dx.accumulate);
}

}  // namespace

extern const Kernel koleo_cuda = {forward, backward};

}  // namespace protea
