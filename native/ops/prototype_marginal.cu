#include "../cuda/map.cuh"
#include "prototype_rows.cuh"

namespace protea {
namespace {

// From log Σ_r e^(l - lse_r), the prototype's own bias left out.
struct Marginal {
  const float *log_sum, *bias;
  float shift;
  bool log;
  GPU_DEVICE float operator()(int64_t k) const {
    float value = log_sum[k] + shift + (bias ? bias[k] : 0);
    return log ? value : expf(value);
  }
};

void forward(const Run& run) {
  const Array &z = run.in[0], &w = run.in[1], &bias = run.in[2];
  Gpu& gpu = Gpu::of(run);
  int64_t R = z.dim(0), K = w.dim(0);
  gpu::Logits logits(z.as<float>(), R, w.as<float>(), K, z.dim(1),
                     bias ? bias.as<float>() : nullptr, run.attrs.number("temperature"));
  float *row_bias = gpu.scratch<float>(0, R), *sums = gpu.scratch<float>(1, K);
  gpu::log_sums(gpu, logits, -1, row_bias);
  gpu::log_sums(gpu, logits.turned(row_bias), 1, sums);
  Marginal marginal{sums, logits.bias, -std::log(static_cast<float>(R)),
                    run.attrs.integer("log", 0) != 0};
  gpu::store(gpu, marginal, run.out[0].as<float>(), K);
}

}  // namespace

extern const Kernel prototype_marginal_cuda = {forward, nullptr};

}  // namespace protea
