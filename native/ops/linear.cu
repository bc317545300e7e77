#include "linear.cuh"

namespace protea {
namespace {

void forward(const Run& run) {
  const Array &x = run.in[0], &weight = run.in[1], &bias = run.in[2];
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  gpu::gemm(Gpu::of(run), B, K, D, {x.as<float>(), D}, {weight.as<float>(), D, true},
            run.out[0].as<float>(), K, false, {bias ? bias.as<float>() : nullptr});
}

void backward(const Run& run) { gpu::linear_back(run, run.dout[0].as<float>()); }

}  // namespace

extern const Kernel linear_cuda = {forward, backward};

}  // namespace protea
