// A head start is not needed: the result is the same without.
#include "../cuda/directions.cuh"
#include "../cuda/nearest.h"

namespace protea {
namespace {

using gpu::View;

// 1 - <w_i, w_nearest(i)> / (||w_i|| ||w_nearest(i)||) in double, at least 0; a warp a row.
__global__ void distance_kernel(View w, const gpu::Candidate* best, int32_t* nearest,
                                double* distance) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  int64_t row = i < w.rows ? i : 0, j = gpu::row_of(best[row], row);
  double product = 0, mine = 0, other = 0;
  for (int64_t p = gpu::lane_index(); p < w.depth; p += 32) {
    double a = w.at(row, p), b = w.at(j, p);
    product += a * b;
    mine += a * a;
    other += b * b;
  }
  product = gpu::warp_sum(product);
  mine = fmax(sqrt(gpu::warp_sum(mine)), 1e-12);
  other = fmax(sqrt(gpu::warp_sum(other)), 1e-12);
  if (i >= w.rows || gpu::lane_index() > 0) return;
  nearest[i] = static_cast<int32_t>(j);
  distance[i] = fmax(0.0, 1 - product / mine / other);
}

void forward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  const Array& w = run.in[0];
  int64_t K = w.dim(0), P = w.dim(1);
  float* inverse = gpu.scratch<float>(0, K);
  auto* best = gpu.scratch<gpu::Candidate>(1, K);
  float* none = nullptr;
  double* no_exact = nullptr;
  GPU_LAUNCH_ROWS(gpu, gpu::lengths_kernel, K, P, w.as<float>(), 1e-12, none, inverse, no_exact);
  gpu::search_nearest(gpu, {w.as<float>(), inverse, K, P}, best);
  GPU_LAUNCH(gpu, distance_kernel, gpu::a_warp_each(K), View{w.as<float>(), K, P, P, 1}, best,
             run.out[0].as<int32_t>(), run.out[1].as<double>());
}

}  // namespace

extern const Kernel nearest_prototypes_cuda = {forward, nullptr};

}  // namespace protea
