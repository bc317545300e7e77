#include "../cuda/math.cuh"
#include "../cuda/stored.cuh"
#include "linear.cuh"

namespace protea {
namespace {

void forward(const Run& run) { gpu::linear_forward(run, run.out[1], gpu::Target(run.out[0])); }

void backward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  const Array &u = run.out[1], &dy = run.dout[0];
  Array du = u;
  gpu::with_stored(u, [&]<class T>() {
    T* to = gpu.scratch<T>(0, u.size());
    gpu::map_stored(gpu, gpu::GeluSlope{}, to, u.size(), u.as<T>(), dy.as<T>());
    du.data = to;
    du.rounded = nullptr;
  });
  gpu::linear_back(run, du);
}

}  // namespace

extern const Kernel linear_gelu_cuda = {forward, backward};

}  // namespace protea
