#include "../cuda/map.cuh"
#include "../cuda/math.cuh"

namespace protea {
namespace {

void forward(const Run& run) {
  const Array &x = run.in[0], &y = run.out[0];
  gpu::store(Gpu::of(run), gpu::OfOne<gpu::Gelu>{x.as<float>()}, y.as<float>(), x.size());
}

void backward(const Run& run) {
  const Array &x = run.in[0], &dy = run.dout[0];
  gpu::OfTwo<gpu::GeluSlope> slope{x.as<float>(), dy.as<float>()};
  gpu::store(Gpu::of(run), slope, run.din[0]);
}

}  // namespace

extern const Kernel gelu_cuda = {forward, backward};

}  // namespace protea
