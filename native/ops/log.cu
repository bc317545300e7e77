#include "../cuda/map.cuh"

namespace protea {
namespace {

constexpr float smallest = 1.17549435e-38f;

struct Value {
  const float* x;
  GPU_DEVICE float operator()(int64_t i) const { return logf(fmaxf(x[i], smallest)); }
};

struct Slope {
  const float *x, *dy;
  GPU_DEVICE float operator()(int64_t i) const { return dy[i] / fmaxf(x[i], smallest); }
};

void forward(const Run& run) {
  gpu::store(Gpu::of(run), Value{run.in[0].as<float>()}, run.out[0].as<float>(), run.in[0].size());
}

void backward(const Run& run) {
  gpu::store(Gpu::of(run), Slope{run.in[0].as<float>(), run.dout[0].as<float>()}, run.din[0]);
}

}  // namespace

extern const Kernel log_cuda = {forward, backward};

}  // namespace protea
