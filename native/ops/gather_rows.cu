#include "../cuda/block.cuh"
#include "../cuda/device.h"

namespace protea {
namespace {

__global__ void gather_kernel(const float* x, const int32_t* index, int64_t count, int64_t R,
                              int64_t D, float* y, Fault* fault) {
  for (int64_t i = gpu::first_index(); i < count * D; i += gpu::index_stride()) {
    int32_t row = index[i / D];
    bool inside = row >= 0 && row < R;
    if (!inside && i % D == 0 && atomicCAS(&fault->kind, Fault::None, Fault::GatherIndex) == 0) {
      fault->value = row;
      fault->limit = static_cast<int>(R);
    }
    y[i] = inside ? x[row * D + i % D] : NAN;
  }
}

// A warp a row of dx: it looks through the index for the rows of dy that came from here, so they
// are added in the order of m.
__global__ void scatter_kernel(const float* dy, const int32_t* index, int64_t count, int64_t R,
                               int64_t D, float* dx, bool accumulate) {
  int64_t row = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  if (row >= R) return;
  for (int64_t d = gpu::lane_index(); d < D; d += 32) {
    float sum = accumulate ? dx[row * D + d] : 0;
    for (int64_t m = 0; m < count; m++)
      if (index[m] == row) sum += dy[m * D + d];
    dx[row * D + d] = sum;
  }
}

void forward(const Run& run) {
  const Array &x = run.in[0], &index = run.in[1];
  Gpu& gpu = Gpu::of(run);
  if (run.out[0].size() == 0) return;
  GPU_LAUNCH(gpu, gather_kernel, gpu::cover(run.out[0].size()), x.as<float>(), index.as<int32_t>(),
             index.size(), x.dim(0), x.dim(1), run.out[0].as<float>(), gpu.fault());
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx || dx.array.size() == 0) return;
  int64_t R = dx.array.dim(0);
  gpu::Grid grid{dim3(static_cast<unsigned>((R + 7) / 8)), dim3(256)};
  GPU_LAUNCH(Gpu::of(run), scatter_kernel, grid, run.dout[0].as<float>(), run.in[1].as<int32_t>(),
             run.in[1].size(), R, dx.array.dim(1), dx.as<float>(), dx.accumulate);
}

}  // namespace

extern const Kernel gather_rows_cuda = {forward, backward};

}  // namespace protea
