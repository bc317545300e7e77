#include "../cuda/map.cuh"
#include "../cuda/math.cuh"

namespace protea {
namespace {

struct Value {
  const float* x;
  GPU_DEVICE float operator()(int64_t i) const { return gpu::gelu(x[i]); }
};

struct Slope {
  const float *x, *dy;
  GPU_DEVICE float operator()(int64_t i) const { return dy[i] * gpu::gelu_slope(x[i]); }
};

void forward(const Run& run) {
  gpu::store(Gpu::of(run), Value{run.in[0].as<float>()}, run.out[0].as<float>(), run.in[0].size());
}

void backward(const Run& run) {
  gpu::store(Gpu::of(run), Slope{run.in[0].as<float>(), run.dout[0].as<float>()}, run.din[0]);
}

}  // namespace

extern const Kernel gelu_cuda = {forward, backward};

}  // namespace protea
