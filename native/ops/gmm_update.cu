#include "../cuda/block.cuh"
#include "../cuda/guard.cuh"
#include "gmm_update.h"

namespace protea {

using namespace gmm;

namespace {

struct Mixture {
  float *pi, *mu, *var, *s0, *s1, *s2;
  const float *x, *gamma, *guard;
  int64_t B, D, K;
  double eta, floor;
  bool by_responsibility;
};

// A block a component: moves its statistics by the batch's sums and derives mean and variance.
__global__ void move_kernel(Mixture m) {
  if (!gpu::lets_through(m.guard)) return;
  int64_t k = blockIdx.x;
  double n = 0, old = m.s0[k];
  for (int64_t b = 0; b < m.B; b++) n += m.gamma[b * m.K + k];
  Rates rates(n, m.eta, m.B, m.by_responsibility);
  auto moved = static_cast<float>(rates.keep * old + rates.take * n);
  __syncthreads();  // all have read the old s0
  if (threadIdx.x == 0) m.s0[k] = moved;
  for (int64_t d = threadIdx.x; d < m.D; d += blockDim.x) {
    double first = 0, second = 0;
    for (int64_t b = 0; b < m.B; b++) {
      double share = m.gamma[b * m.K + k], x = m.x[b * m.D + d];
      first += share * x;
      second += share * x * x;
    }
    int64_t i = k * m.D + d;
    auto s1 = static_cast<float>(rates.keep * m.s1[i] + rates.take * first);
    auto s2 = static_cast<float>(rates.keep * m.s2[i] + rates.take * second);
    m.s1[i] = s1;
    m.s2[i] = s2;
    if (!(moved > 0)) continue;
    double mean = s1 / static_cast<double>(moved);
    double variance = s2 / static_cast<double>(moved) - mean * mean;
    m.mu[i] = static_cast<float>(mean);
    m.var[i] = static_cast<float>(variance < m.floor ? m.floor : variance);
  }
}

__global__ void weigh_kernel(Mixture m, int32_t* applied) {
  bool apply = gpu::lets_through(m.guard);
  if (threadIdx.x == 0) *applied = apply;
  if (!apply) return;
  double sum = 0;
  for (int64_t k = threadIdx.x; k < m.K; k += blockDim.x) sum += m.s0[k];
  sum = gpu::block_sum(sum);
  for (int64_t k = threadIdx.x; k < m.K; k += blockDim.x)
    m.pi[k] = static_cast<float>(m.s0[k] / sum);
}

void forward(const Run& run) {
  auto at = [&](int i) { return run.in[i].as<float>(); };
  Mixture mixture{at(weights),
                  at(means),
                  at(variances),
                  at(s0),
                  at(s1),
                  at(s2),
                  at(rows_x),
                  at(responsibilities),
                  at(guard),
                  run.in[rows_x].dim(0),
                  run.in[rows_x].dim(1),
                  run.in[weights].dim(0),
                  run.attrs.number("eta"),
                  run.attrs.number("var_floor"),
                  run.attrs.integer("by_responsibility", 0) != 0};
  if (mixture.K > 0)
    GPU_LAUNCH(Gpu::of(run), move_kernel,
               gpu::Grid{dim3(static_cast<unsigned>(mixture.K)), dim3(128)}, mixture);
  GPU_LAUNCH(Gpu::of(run), weigh_kernel, gpu::Grid{dim3(1), dim3(256)}, mixture,
             run.out[0].as<int32_t>());
}

}  // namespace

extern const Kernel gmm_update_cuda = {forward, nullptr};

}  // namespace protea
