#include "../cuda/map.cuh"
#include "../cuda/sums.cuh"

namespace protea {
namespace {

struct Square {
  const float* x;
  GPU_DEVICE double operator()(int64_t i) const { return static_cast<double>(x[i]) * x[i]; }
};

// From the sum of squares: what dy is multiplied by.
struct StoreScale {
  float* to;
  double limit;
  GPU_DEVICE void operator()(double square) const {
    double scale = limit / (sqrt(square) + 1e-6);
    *to = static_cast<float>(scale > 1 ? 1 : scale);  // a NaN stays
  }
};

struct Scaled {
  const float *dy, *scale;
  GPU_DEVICE float operator()(int64_t i) const { return *scale * dy[i]; }
};

void forward(const Run& run) {
  gpu::store(Gpu::of(run), gpu::Same{run.in[0].as<float>()}, run.out[0].as<float>(),
             run.in[0].size());
}

void backward(const Run& run) {
  if (!run.din[0]) return;
  Gpu& gpu = Gpu::of(run);
  const float* dy = run.dout[0].as<float>();
  float* scale = gpu.scratch<float>(0, 1);
  gpu::total(gpu, Square{dy}, run.dout[0].size(), StoreScale{scale, run.attrs.number("limit")});
  gpu::store(gpu, Scaled{dy, scale}, run.din[0]);
}

}  // namespace

extern const Kernel limit_gradient_cuda = {forward, backward};

}  // namespace protea
