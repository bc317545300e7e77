#include <cmath>

#include "../cuda/directions.cuh"
#include "../cuda/map.cuh"
#include "../cuda/nearest.h"
#include "../cuda/sums.cuh"
#include "l2_normalize.cuh"

namespace protea {
namespace {

using gpu::Candidate;
using gpu::View;

enum { loss, nearest, directions, norms, distances };

struct Repulsion {
  double eps, least;

  explicit Repulsion(const Attrs& attrs)
      : eps(attrs.number("eps")), least(attrs.number("min_distance")) {}

  GPU_DEVICE double value(double d) const {
    if (!(d < least)) return log(d + eps);
    return log(least + eps) + (d * d - least * least) / (2 * least * (least + eps));
  }
  GPU_DEVICE double slope_over_distance(double d) const {
    if (d < least) return 1 / (least * (least + eps));
    return d > 0 ? 1 / ((d + eps) * d) : 0;
  }
};

// The distance of every row to its nearest, in double; a warp a row.
__global__ void distance_kernel(View u, const Candidate* best, double pairwise, Repulsion repulsion,
                                int32_t* nearest_of, float* distance_of, double* value) {
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

struct ValueTerm {
  const double* value;
  GPU_DEVICE double operator()(int64_t i) const { return value[i]; }
};

// --- backward

// Of each row, how many have it as their nearest, and who, while they are few.
struct Followers {
  static constexpr int room = 8;
  int* count;    // (rows)
  int32_t* few;  // (rows, room), in any order
};

__global__ void follow_kernel(const int32_t* nearest_of, int64_t B, Followers followers) {
  for (int64_t i = gpu::first_index(); i < B; i += gpu::index_stride()) {
    int64_t n = nearest_of[i];
    int at = atomicAdd(followers.count + n, 1);
    if (at < Followers::room) followers.few[n * Followers::room + at] = static_cast<int32_t>(i);
  }
}

// dx from du_i = g_i (u_i - u_nn(i) + e) - Σ_{j: nn(j) = i} g_j (u_j - u_i + e) in the order of j,
// g_i = -dloss / B slope(d_i) / d_i, through the normalisation. A warp a row.
struct Pull {
  View u;
  const int32_t* nearest;
  Followers followers;
  const float *distance, *norm, *dloss;
  double pairwise;
  Repulsion repulsion;

  GPU_DEVICE float of(int64_t i) const {
    double share = -static_cast<double>(*dloss) / static_cast<double>(u.rows);
    return static_cast<float>(share * repulsion.slope_over_distance(distance[i]));
  }
};

// Calls body(j) for each of a few followers, the lowest first.
template <class Body>
GPU_DEVICE void each_of_few(const int32_t* few, int count, const Body& body) {
  for (int32_t n = 0, last = -1; n < count; n++) {
    int32_t next = INT32_MAX;
    for (int e = 0; e < count; e++)
      if (few[e] > last && few[e] < next) next = few[e];
    body(next);
    last = next;
  }
}

// The same of many: the warp looks through `nearest` until it has found all.
template <class Body>
GPU_DEVICE void each_of_many(const Pull& pull, int64_t row, int count, const Body& body) {
  for (int64_t begin = 0; count > 0; begin += 32) {
    int64_t j = begin + gpu::lane_index();
    unsigned follows = __ballot_sync(gpu::all_lanes, j < pull.u.rows && pull.nearest[j] == row);
    for (; follows; follows &= follows - 1, count--)
      body(begin + __ffs(static_cast<int>(follows)) - 1);
  }
}

__global__ void pull_kernel(Pull pull, float* du) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  const View& u = pull.u;
  int64_t row = i < u.rows ? i : 0;
  int count = i < u.rows ? pull.followers.count[row] : 0, lane = gpu::lane_index();
  auto pairwise = static_cast<float>(pull.pairwise);
  float* to = du + row * u.depth;
  float mine = pull.of(row);
  for (int64_t d = lane; i < u.rows && d < u.depth; d += 32)
    to[d] = mine * (u.at(row, d) - u.at(pull.nearest[row], d) + pairwise);
  auto push_away = [&](int64_t follower) {
    float g = pull.of(follower);
    if (g == 0) return;
    for (int64_t d = lane; d < u.depth; d += 32)
      to[d] -= g * (u.at(follower, d) - u.at(row, d) + pairwise);
  };
  if (count <= Followers::room)
    each_of_few(pull.followers.few + row * Followers::room, count, push_away);
  else
    each_of_many(pull, row, count, push_away);
}

unsigned warps_for(int64_t rows) { return static_cast<unsigned>((rows + 7) / 8); }

View directions_of(const Run& run) {
  const Array& u = run.out[directions];
  return {u.as<float>(), u.dim(0), u.dim(1), u.dim(1), 1};
}

void forward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  View u = directions_of(run);
  int64_t B = u.rows;
  GPU_LAUNCH_ROWS(gpu, gpu::normalise_kernel, B, u.depth, run.in[0].as<float>(),
                  run.attrs.number("norm_eps"), run.out[directions].as<float>(),
                  run.out[norms].as<float>(), nullptr);
  auto* best = gpu.scratch<Candidate>(0, B);
  auto* value = gpu.scratch<double>(1, B);
  gpu::search_nearest(gpu, u, best);
  GPU_LAUNCH(gpu, distance_kernel, gpu::Grid{dim3(warps_for(B)), dim3(256)}, u, best,
             run.attrs.number("pairwise_eps"), Repulsion(run.attrs), run.out[nearest].as<int32_t>(),
             run.out[distances].as<float>(), value);
  gpu::total(gpu, ValueTerm{value}, B,
             gpu::StoreTotal{run.out[loss].as<float>(), -1 / static_cast<double>(B)});
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx || !run.dout[0]) return;
  Gpu& gpu = Gpu::of(run);
  View u = directions_of(run);
  Followers followers{gpu.scratch<int>(0, u.rows),
                      gpu.scratch<int32_t>(2, u.rows * Followers::room)};
  float* du = gpu.scratch<float>(1, u.rows * u.depth);
  gpu.fill(followers.count, 0, u.rows * sizeof(int));
  const int32_t* nearest_of = run.out[nearest].as<int32_t>();
  GPU_LAUNCH(gpu, follow_kernel, gpu::cover(u.rows), nearest_of, u.rows, followers);
  Pull pull{u,
            nearest_of,
            followers,
            run.out[distances].as<float>(),
            run.out[norms].as<float>(),
            run.dout[0].as<float>(),
            run.attrs.number("pairwise_eps"),
            Repulsion(run.attrs)};
  GPU_LAUNCH(gpu, pull_kernel, gpu::Grid{dim3(warps_for(u.rows)), dim3(256)}, pull, du);
  GPU_LAUNCH_ROWS(gpu, normalize_back_kernel, u.rows, u.depth, u.data, du,
                  run.out[norms].as<float>(), static_cast<float>(run.attrs.number("norm_eps")),
                  dx.as<float>(), dx.accumulate);
}

}  // namespace

extern const Kernel koleo_cuda = {forward, backward};

}  // namespace protea
