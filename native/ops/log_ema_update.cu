#include "../cuda/guard.cuh"
#include "log_ema_update.h"

namespace protea {
namespace {

__global__ void update_kernel(float* center, const float* mean, int64_t n, double momentum,
                              bool of_logs, const float* guard, int32_t* applied) {
  bool apply = gpu::lets_through(guard);
  if (gpu::first_index() == 0) *applied = apply;
  double keep = log(momentum), take = log1p(-momentum);
  for (int64_t i = gpu::first_index(); apply && i < n; i += gpu::index_stride()) {
    double old = center[i], fresh = mean[i];
    center[i] = static_cast<float>(of_logs ? momentum * old + (1 - momentum) * fresh
                                           : log_add(keep + old, take + fresh));
  }
}

void forward(const Run& run) {
  const Array &center = run.in[0], &guard = run.in[2];
  GPU_LAUNCH(Gpu::of(run), update_kernel, gpu::cover(center.size()), center.as<float>(),
             run.in[1].as<float>(), center.size(), run.attrs.number("momentum"),
             run.attrs.integer("of_logs", 0) != 0, guard.as<float>(), run.out[0].as<int32_t>());
}

}  // namespace

extern const Kernel log_ema_update_cuda = {forward, nullptr};

}  // namespace protea
