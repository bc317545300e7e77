#include "../cuda/block.cuh"
#include "../cuda/device.h"
#include "../cuda/map.cuh"
#include "vmf_normalizer.h"

namespace protea {
namespace {

// A warp a prototype.
__global__ void forward_kernel(const float* w, int64_t K, int64_t P, double temperature,
                               float* value, float* slope) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  int64_t k = i < K ? i : 0;
  double square = 0;
  for (int64_t p = gpu::lane_index(); p < P; p += 32)
    square += static_cast<double>(w[k * P + p]) * w[k * P + p];
  square = gpu::warp_sum(square);
  if (i >= K || gpu::lane_index() > 0) return;
  Normalizer found = normalizer(static_cast<double>(P) / 2 - 1, sqrt(square) / temperature);
  value[k] = static_cast<float>(found.value);
  slope[k] = static_cast<float>(found.slope);
}

struct Slope {
  const float *w, *dy, *slope;
  int64_t P;
  float scale;  // -1 / temperature²
  GPU_DEVICE float operator()(int64_t i) const { return scale * dy[i / P] * slope[i / P] * w[i]; }
};

void forward(const Run& run) {
  const Array& w = run.in[0];
  if (w.dim(0) == 0) return;
  gpu::Grid grid = gpu::a_warp_each(w.dim(0));
  GPU_LAUNCH(Gpu::of(run), forward_kernel, grid, w.as<float>(), w.dim(0), w.dim(1),
             run.attrs.number("temperature"), run.out[0].as<float>(), run.out[1].as<float>());
}

void backward(const Run& run) {
  const Array& w = run.in[0];
  double temperature = run.attrs.number("temperature");
  gpu::store(Gpu::of(run),
             Slope{w.as<float>(), run.dout[0].as<float>(), run.out[1].as<float>(), w.dim(1),
                   static_cast<float>(-1 / (temperature * temperature))},
             run.din[0]);
}

}  // namespace

extern const Kernel vmf_log_normalizer_cuda = {forward, backward};

}  // namespace protea
