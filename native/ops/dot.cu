#include "../cuda/map.cuh"
#include "../cuda/sums.cuh"

namespace protea {
namespace {

struct Product {
  const float *a, *b;
  GPU_DEVICE double operator()(int64_t i) const { return static_cast<double>(a[i]) * b[i]; }
};

struct Scaled {
  const float *ds, *other;
  GPU_DEVICE float operator()(int64_t i) const { return *ds * other[i]; }
};

void forward(const Run& run) {
  gpu::total(Gpu::of(run), Product{run.in[0].as<float>(), run.in[1].as<float>()}, run.in[0].size(),
             gpu::StoreTotal{run.out[0].as<float>()});
}

void backward(const Run& run) {
  for (int side = 0; side < 2; side++)
    gpu::store(Gpu::of(run), Scaled{run.dout[0].as<float>(), run.in[1 - side].as<float>()},
               run.din[side]);
}

}  // namespace

extern const Kernel dot_cuda = {forward, backward};

}  // namespace protea
