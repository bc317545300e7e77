#include "../cuda/map.cuh"
#include "../cuda/math.cuh"
#include "linear.cuh"

namespace protea {
namespace {

struct Slope {
  const float *u, *dy;
  GPU_DEVICE float operator()(int64_t i) const { return dy[i] * gpu::gelu_slope(u[i]); }
};

struct SlopeOfNumbers {
  GPU_DEVICE float operator()(float u, float dy) const { return dy * gpu::gelu_slope(u); }
};

void forward(const Run& run) { gpu::linear_forward(run, run.out[1], gpu::Target(run.out[0])); }

void backward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  const Array &u = run.out[1], &dy = run.dout[0];
  Array du = u;
  gpu::with_stored(u, [&]<class T>() {
    T* to = gpu.scratch<T>(0, u.size());
    if constexpr (std::is_same_v<T, float>)
      gpu::store(gpu, Slope{u.as<T>(), dy.as<T>()}, to, u.size());
    else
      gpu::map_eights(gpu, SlopeOfNumbers{}, to, u.size(), u.as<T>(), dy.as<T>());
    du.data = to;
    du.rounded = nullptr;
  });
  gpu::linear_back(run, du);
}

}  // namespace

extern const Kernel linear_gelu_cuda = {forward, backward};

}  // namespace protea
