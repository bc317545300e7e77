#include "../cuda/guard.cuh"

namespace protea {
namespace {

__global__ void update_kernel(float* target, const float* source, int64_t n, float momentum,
                              const float* guard, int32_t* applied) {
  bool apply = gpu::lets_through(guard);
  if (gpu::first_index() == 0) *applied = apply;
  for (int64_t i = gpu::first_index(); apply && i < n; i += gpu::index_stride())
    target[i] = momentum * target[i] + (1 - momentum) * source[i];
}

void forward(const Run& run) {
  const Array &target = run.in[0], &guard = run.in[2];
  GPU_LAUNCH(Gpu::of(run), update_kernel, gpu::cover(target.size()), target.as<float>(),
             run.in[1].as<float>(), target.size(), static_cast<float>(run.attrs.number("momentum")),
             guard.as<float>(), run.out[0].as<int32_t>());
}

}  // namespace

extern const Kernel ema_update_cuda = {forward, nullptr};

}  // namespace protea
