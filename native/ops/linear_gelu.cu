#include "../cuda/map.cuh"
#include "../cuda/math.cuh"
#include "linear.cuh"

namespace protea {
namespace {

struct Slope {
  const float *u, *dy;
  GPU_DEVICE float operator()(int64_t i) const { return dy[i] * gpu::gelu_slope(u[i]); }
};

void forward(const Run& run) {
  const Array &x = run.in[0], &weight = run.in[1], &bias = run.in[2];
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  gpu::gemm(Gpu::of(run), B, K, D, {x.as<float>(), D}, {weight.as<float>(), D, true},
            run.out[1].as<float>(), K, false,
            {bias ? bias.as<float>() : nullptr, run.out[0].as<float>()});
}

void backward(const Run& run) {
  const Array& u = run.out[1];
  float* du = Gpu::of(run).scratch<float>(0, u.size());
  gpu::store(Gpu::of(run), Slope{u.as<float>(), run.dout[0].as<float>()}, du, u.size());
  gpu::linear_back(run, du);
}

}  // namespace

extern const Kernel linear_gelu_cuda = {forward, backward};

}  // namespace protea
