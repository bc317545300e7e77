#include "linear.cuh"

namespace protea {
namespace {

void forward(const Run& run) { gpu::linear_forward(run, run.out[0]); }

void backward(const Run& run) { gpu::linear_back(run, run.dout[0]); }

}  // namespace

extern const Kernel linear_cuda = {forward, backward};

}  // namespace protea
