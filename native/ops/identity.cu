#include "../cuda/device.h"

namespace protea {
namespace {

__global__ void copy_kernel(float* to, const float* from, int64_t n, bool accumulate) {
  for (int64_t i = gpu::first_index(); i < n; i += gpu::index_stride())
    gpu::put(to, i, from[i], accumulate);
}

void copy(const Run& run, float* to, const Array& from, bool accumulate) {
  GPU_LAUNCH(Gpu::of(run), copy_kernel, gpu::cover(from.size()), to, from.as<float>(), from.size(),
             accumulate);
}

void forward(const Run& run) { copy(run, run.out[0].as<float>(), run.in[0], false); }

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (dx) copy(run, dx.as<float>(), run.dout[0], dx.accumulate);
}

}  // namespace

extern const Kernel identity_cuda = {forward, backward};

}  // namespace protea
