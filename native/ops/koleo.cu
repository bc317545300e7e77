#include <cmath>

#include "../cuda/map.cuh"
#include "../cuda/nearest.h"
#include "../cuda/sums.cuh"

namespace protea {
namespace {

using gpu::Candidate;
using gpu::Directions;

enum { loss, nearest, norms, distances };

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

// With g_i = -dloss / B slope(d_i) / d_i
//   du_i = g_i (u_i - u_nn(i) + e) - Σ_{j: nn(j) = i} g_j (u_j - u_i + e) in the order of j
//   dx_i = (du_i - u_i <u_i, du_i>) / ||x_i||
struct Pull {
  Directions u;
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

constexpr int held = 16;  // columns of a row that a lane holds at a time

// du of columns begin + lane, begin + lane + 32, ... of a row, by a warp.
GPU_DEVICE void pull_columns(const Pull& pull, int64_t row, int count, int64_t begin,
                             float (&du)[held]) {
  const Directions& u = pull.u;
  auto pairwise = static_cast<float>(pull.pairwise);
  float mine = pull.of(row);
  int64_t first = begin + gpu::lane_index(), other = pull.nearest[row];
  for (int n = 0; n < held; n++) {
    int64_t d = first + 32 * n;
    du[n] = d < u.depth ? mine * (u.at(row, d) - u.at(other, d) + pairwise) : 0;
  }
  auto push_away = [&](int64_t follower) {
    float g = pull.of(follower);
    if (g == 0) return;
    for (int n = 0; n < held; n++) {
      int64_t d = first + 32 * n;
      if (d < u.depth) du[n] -= g * (u.at(follower, d) - u.at(row, d) + pairwise);
    }
  };
  if (count <= Followers::room)
    each_of_few(pull.followers.few + row * Followers::room, count, push_away);
  else
    each_of_many(pull, row, count, push_away);
}

// A warp a row. Rows too long to be held are made twice.
__global__ void pull_kernel(Pull pull, float eps, float* dx, bool accumulate) {
  constexpr int64_t width = 32 * held;
  int64_t i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  const Directions& u = pull.u;
  int64_t row = i < u.rows ? i : 0;
  int count = i < u.rows ? pull.followers.count[row] : 0;
  float du[held], along = 0;
  for (int64_t begin = 0; begin < u.depth; begin += width) {
    pull_columns(pull, row, count, begin, du);
    for (int n = 0; n < held; n++) along += du[n] * u.at(row, begin + gpu::lane_index() + 32 * n);
  }
  along = pull.norm[row] < eps ? 0 : gpu::warp_sum(along);
  for (int64_t begin = 0; begin < u.depth; begin += width) {
    if (u.depth > width) pull_columns(pull, row, count, begin, du);
    for (int n = 0; n < held; n++) {
      int64_t d = begin + gpu::lane_index() + 32 * n;
      if (i < u.rows && d < u.depth)
        gpu::put(dx, row * u.depth + d, (du[n] - along * u.at(row, d)) * u.inverse[row],
                 accumulate);
    }
  }
}

unsigned warps_for(int64_t rows) { return static_cast<unsigned>((rows + 7) / 8); }

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
  const Array& x = run.in[0];
  int64_t B = x.dim(0);
  auto eps = static_cast<float>(run.attrs.number("norm_eps"));
  const float* norm = run.out[norms].as<float>();
  float* inverse = gpu.scratch<float>(1, B);
  gpu::store(gpu, Inverse{norm, eps}, inverse, B);
  Followers followers{gpu.scratch<int>(0, B), gpu.scratch<int32_t>(2, B * Followers::room)};
  gpu.fill(followers.count, 0, B * sizeof(int));
  const int32_t* nearest_of = run.out[nearest].as<int32_t>();
  GPU_LAUNCH(gpu, follow_kernel, gpu::cover(B), nearest_of, B, followers);
  Pull pull{{x.as<float>(), inverse, B, x.dim(1)},
            nearest_of,
            followers,
            run.out[distances].as<float>(),
            norm,
            run.dout[0].as<float>(),
            run.attrs.number("pairwise_eps"),
            Repulsion(run.attrs)};
  GPU_LAUNCH(gpu, pull_kernel, gpu::Grid{dim3(warps_for(B)), dim3(256)}, pull, eps, dx.as<float>(),
             dx.accumulate);
}

}  // namespace

extern const Kernel koleo_cuda = {forward, backward};

}  // namespace protea
