#include "../cuda/followers.h"

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

constexpr int held = 16;  // columns of a row that a lane holds at a time

// A warp a row of dx: the rows of dy that came from here, added in the order of m.
__global__ void scatter_kernel(const float* dy, gpu::Followers takers, int64_t R, int64_t D,
                               float* dx, bool accumulate) {
  int64_t row = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  if (row >= R) return;
  for (int64_t begin = 0; begin < D; begin += 32 * held) {
    int64_t first = begin + gpu::lane_index();
    float sum[held];
    auto each_column = [&](const auto& body) {
#pragma unroll
      for (int n = 0; n < held; n++)
        if (first + 32 * n < D) body(sum[n], first + 32 * n);
    };
    each_column([&](float& s, int64_t d) { s = accumulate ? dx[row * D + d] : 0; });
    takers.each(row,
                [&](int64_t m) { each_column([&](float& s, int64_t d) { s += dy[m * D + d]; }); });
    each_column([&](float& s, int64_t d) { dx[row * D + d] = s; });
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
  Gpu& gpu = Gpu::of(run);
  int64_t R = dx.array.dim(0);
  gpu::Followers takers = gpu::follow(gpu, 0, run.in[1].as<int32_t>(), run.in[1].size(), R);
  gpu::Grid grid = gpu::a_warp_each(R);
  GPU_LAUNCH(gpu, scatter_kernel, grid, run.dout[0].as<float>(), takers, R, dx.array.dim(1),
             dx.as<float>(), dx.accumulate);
}

}  // namespace

extern const Kernel gather_rows_cuda = {forward, backward};

}  // namespace protea
