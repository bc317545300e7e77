#include "log_sums.h"

namespace protea {
namespace {

void forward(const Run& run) {
  const Array &z = run.in[0], &w = run.in[1];
  Gpu& gpu = Gpu::of(run);
  gpu::Logits logits(z, w, {}, run.attrs.number("temperature"));
  int64_t iterations = run.attrs.integer("iterations");
  bool from_probabilities = run.attrs.integer("from_probabilities", 0) != 0;
  gpu::LogSums sums(gpu, logits, 2 * iterations - 1 + from_probabilities);
  float *log_v = gpu.scratch<float>(0, z.dim(0)), *log_u = run.out[0].as<float>();
  if (from_probabilities)
    sums.over_prototypes(nullptr, -1, log_v);
  else
    gpu.fill(log_v, 0, z.dim(0) * sizeof(float));
  for (int64_t i = 0; i < iterations; i++) {
    sums.over_rows(log_v, -1, log_u);
    if (i + 1 < iterations) sums.over_prototypes(log_u, -1, log_v);
  }
}

}  // namespace

extern const Kernel prototype_sinkhorn_cuda = {forward, nullptr};

}  // namespace protea
