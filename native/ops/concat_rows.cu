#include "../cuda/map.cuh"

namespace protea {
namespace {

void forward(const Run& run) {
  float* y = run.out[0].as<float>();
  for (const Array& x : run.in) {
    gpu::store(Gpu::of(run), gpu::Same{x.as<float>()}, y, x.size());
    y += x.size();
  }
}

void backward(const Run& run) {
  const float* dy = run.dout[0].as<float>();
  for (size_t i = 0; i < run.din.size(); i++) {
    gpu::store(Gpu::of(run), gpu::Same{dy}, run.din[i]);
    dy += run.in[i].size();
  }
}

}  // namespace

extern const Kernel concat_rows_cuda = {forward, backward};

}  // namespace protea
