#include "../cuda/map.cuh"

namespace protea {
namespace {

struct Taken {
  const float* x;
  int64_t N, D, index;
  GPU_DEVICE float operator()(int64_t i) const { return x[(i / D * N + index) * D + i % D]; }
};

// Element i of dx: dy where it is the token taken, else 0.
struct Placed {
  const float* dy;
  int64_t N, D, index;
  GPU_DEVICE float operator()(int64_t i) const {
    return i / D % N == index ? dy[i / (N * D) * D + i % D] : 0;
  }
};

void forward(const Run& run) {
  const Array& x = run.in[0];
  gpu::store(Gpu::of(run), Taken{x.as<float>(), x.dim(1), x.dim(2), run.attrs.integer("index")},
             run.out[0].as<float>(), run.out[0].size());
}

void backward(const Run& run) {
  if (!run.din[0]) return;
  const Array& dx = run.din[0].array;
  gpu::store(Gpu::of(run),
             Placed{run.dout[0].as<float>(), dx.dim(1), dx.dim(2), run.attrs.integer("index")},
             run.din[0]);
}

}  // namespace

extern const Kernel take_token_cuda = {forward, backward};

}  // namespace protea
