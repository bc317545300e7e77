#include "../cuda/map.cuh"
#include "../cuda/sums.cuh"

namespace protea {
namespace {

struct Spread {
  const float* dy;
  int64_t D;
  float share;
  GPU_DEVICE float operator()(int64_t i) const { return share * dy[i % D]; }
};

void forward(const Run& run) {
  const Array& x = run.in[0];
  int64_t B = x.dim(0), D = x.dim(1);
  gpu::column_sums(Gpu::of(run), gpu::Stored{x.as<float>(), D}, B, D, run.out[0].as<float>(), false,
                   1 / static_cast<float>(B));
}

void backward(const Run& run) {
  if (!run.din[0]) return;
  int64_t B = run.din[0].array.dim(0), D = run.din[0].array.dim(1);
  gpu::store(Gpu::of(run), Spread{run.dout[0].as<float>(), D, 1 / static_cast<float>(B)},
             run.din[0]);
}

}  // namespace

extern const Kernel mean_rows_cuda = {forward, backward};

}  // namespace protea
