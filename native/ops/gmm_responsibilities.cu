#include "../cuda/rows.cuh"
#include "../cuda/sums.cuh"

namespace protea {
namespace {

// log π_k - 1/2 Σ_d log(2π var_kd), a warp a component.
__global__ void constant_kernel(const float* pi, const float* var, int64_t K, int64_t D,
                                double* constant) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  int64_t k = i < K ? i : 0;
  double sum = 0;
  for (int64_t d = gpu::lane_index(); d < D; d += 32)
    sum += log(6.283185307179586 * static_cast<double>(var[k * D + d]));
  sum = gpu::warp_sum(sum);
  if (i < K && gpu::lane_index() == 0) constant[k] = log(static_cast<double>(pi[k])) - sum / 2;
}

constexpr int together = 8;  // rows that a warp takes: a variance is inverted once for all

// log ρ (B, K), a warp a component and a few rows.
__global__ void density_kernel(const float* x, const float* mu, const float* var,
                               const double* constant, int64_t B, int64_t K, int64_t D,
                               double* density) {
  int64_t blocks = ceil_div(K, gpu::warp_count());
  int64_t i = blockIdx.x % blocks * gpu::warp_count() + gpu::warp_index();
  int64_t first = blockIdx.x / blocks * together, k = i < K ? i : 0;
  double sum[together] = {};
  for (int64_t d = gpu::lane_index(); d < D; d += 32) {
    double mean = mu[k * D + d], inverse = 1 / static_cast<double>(var[k * D + d]);
#pragma unroll
    for (int n = 0; n < together; n++) {
      double difference = (first + n < B ? x[(first + n) * D + d] : 0) - mean;
      sum[n] += difference * difference * inverse;
    }
  }
#pragma unroll
  for (int n = 0; n < together; n++) {
    double total = gpu::warp_sum(sum[n]);
    if (i < K && first + n < B && gpu::lane_index() == 0)
      density[(first + n) * K + k] = constant[k] - total / 2;
  }
}

// A block a row: γ = softmax(beta log ρ), and log Σ ρ.
__global__ void anneal_kernel(const double* density, int64_t K, double beta, float* gamma,
                              double* likelihood) {
  int64_t b = blockIdx.x;
  const double* row = density + b * K;
  double top = -INFINITY, sum = 0, annealed = 0;
  for (int64_t k = threadIdx.x; k < K; k += blockDim.x) top = gpu::larger(top, row[k]);
  top = gpu::block_max(top);
  for (int64_t k = threadIdx.x; k < K; k += blockDim.x) {
    sum += exp(row[k] - top);
    annealed += exp(beta * (row[k] - top));
  }
  sum = gpu::block_sum(sum);
  annealed = gpu::block_sum(annealed);
  for (int64_t k = threadIdx.x; k < K; k += blockDim.x)
    gamma[b * K + k] = static_cast<float>(exp(beta * (row[k] - top)) / annealed);
  if (threadIdx.x == 0) likelihood[b] = top + log(sum);
}

void forward(const Run& run) {
  const Array &x = run.in[0], &pi = run.in[1], &mu = run.in[2], &var = run.in[3];
  int64_t B = x.dim(0), D = x.dim(1), K = mu.dim(0);
  Gpu& gpu = Gpu::of(run);
  double* constant = gpu.scratch<double>(0, K);
  double* density = gpu.scratch<double>(1, B * K);
  double* likelihood = gpu.scratch<double>(2, B);
  GPU_LAUNCH(gpu, constant_kernel, gpu::a_warp_each(K), pi.as<float>(), var.as<float>(), K, D,
             constant);
  dim3 blocks(static_cast<unsigned>(ceil_div(B, together) * ceil_div(K, 8)));
  GPU_LAUNCH(gpu, density_kernel, gpu::Grid{blocks, dim3(256)}, x.as<float>(), mu.as<float>(),
             var.as<float>(), constant, B, K, D, density);
  GPU_LAUNCH(gpu, anneal_kernel, gpu::Grid{dim3(static_cast<unsigned>(B)), dim3(256)}, density, K,
             run.attrs.number("beta"), run.out[0].as<float>(), likelihood);
  gpu::total(gpu, gpu::Terms{likelihood}, B,
             gpu::StoreTotal{run.out[1].as<float>(), 1 / static_cast<double>(B)});
}

}  // namespace

extern const Kernel gmm_responsibilities_cuda = {forward, nullptr};

}  // namespace protea
