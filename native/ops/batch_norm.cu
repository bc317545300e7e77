#include "../cuda/block.cuh"
#include "../cuda/device.h"

namespace protea {
namespace {

// A block takes 32 columns, a lane each; its warps share the rows.
constexpr int columns = 32, teams = 16;

// This thread's column of x (B, D): lanes past the end work on one that exists and write nothing.
struct Column {
  int64_t B, D, d;
  bool inside;

  GPU_DEVICE Column(int64_t B, int64_t D) : B(B), D(D) {
    d = static_cast<int64_t>(blockIdx.x) * columns + gpu::lane_index();
    inside = d < D;
    if (!inside) d = 0;
  }
  GPU_DEVICE bool writes() const { return inside && gpu::warp_index() == 0; }

  // Calls body(i) for each element i of x that is this thread's.
  template <class Body>
  GPU_DEVICE void each(const Body& body) const {
    for (int64_t b = gpu::warp_index(); b < B; b += teams) body(b * D + d);
  }
};

// The warps' sums of a column, joined in their order; all get the result.
GPU_DEVICE double joined(double sum) {
  GPU_SHARED(double, parts, [teams][columns]);
  int lane = gpu::lane_index();
  parts[gpu::warp_index()][lane] = sum;
  __syncthreads();
  sum = 0;
  for (int team = 0; team < teams; team++) sum += parts[team][lane];
  __syncthreads();  // before parts is written again
  return sum;
}

__global__ void __launch_bounds__(columns* teams)
    forward_kernel(int64_t B, int64_t D, const float* x, const float* weight, const float* bias,
                   double eps, float* y, float* mean, float* rstd) {
  Column column(B, D);
  int64_t d = column.d;
  double sum = 0, square = 0;
  column.each([&](int64_t i) { sum += x[i]; });
  double center = joined(sum) / static_cast<double>(B);
  column.each([&](int64_t i) { square += (x[i] - center) * (x[i] - center); });
  double inverse = 1 / sqrt(joined(square) / static_cast<double>(B) + eps);
  auto scale = static_cast<float>(inverse), at = static_cast<float>(center);
  if (!column.inside) return;
  column.each([&](int64_t i) { y[i] = (x[i] - at) * scale * weight[d] + bias[d]; });
  if (!column.writes()) return;
  mean[d] = at;
  rstd[d] = scale;
}

struct Slopes {
  float *dx, *dweight, *dbias;  // null: not wanted
  bool add_dx, add_dweight, add_dbias;
};

// dx = rstd weight (dy - mean_b dy - x̂ mean_b(dy x̂)), x̂ = (x - mean) rstd
__global__ void __launch_bounds__(columns* teams)
    backward_kernel(int64_t B, int64_t D, const float* x, const float* weight, const float* mean,
                    const float* rstd, const float* dy, Slopes slopes) {
  Column column(B, D);
  int64_t d = column.d;
  float center = mean[d], scale = rstd[d];
  double sum = 0, along = 0;
  column.each([&](int64_t i) {
    sum += dy[i];
    along += static_cast<double>(dy[i]) * ((x[i] - center) * scale);
  });
  sum = joined(sum);
  along = joined(along);
  if (column.writes() && slopes.dweight)
    gpu::put(slopes.dweight, d, static_cast<float>(along), slopes.add_dweight);
  if (column.writes() && slopes.dbias)
    gpu::put(slopes.dbias, d, static_cast<float>(sum), slopes.add_dbias);
  if (!column.inside || !slopes.dx) return;
  sum /= static_cast<double>(B);
  along /= static_cast<double>(B);
  column.each([&](int64_t i) {
    double centred = dy[i] - (sum + (x[i] - center) * scale * along);
    gpu::put(slopes.dx, i, static_cast<float>(scale * weight[d] * centred), slopes.add_dx);
  });
}

gpu::Grid grid_of(int64_t D) {
  return {dim3(static_cast<unsigned>(ceil_div(D, columns))), dim3(columns * teams)};
}

void forward(const Run& run) {
  const Array& x = run.in[0];
  GPU_LAUNCH(Gpu::of(run), forward_kernel, grid_of(x.dim(1)), x.dim(0), x.dim(1), x.as<float>(),
             run.in[1].as<float>(), run.in[2].as<float>(), run.attrs.number("eps"),
             run.out[0].as<float>(), run.out[1].as<float>(), run.out[2].as<float>());
}

void backward(const Run& run) {
  const Array& x = run.in[0];
  const Gradient &dx = run.din[0], &dweight = run.din[1], &dbias = run.din[2];
  Slopes slopes{dx.as<float>(), dweight.as<float>(), dbias.as<float>(),
                dx.accumulate,  dweight.accumulate,  dbias.accumulate};
  GPU_LAUNCH(Gpu::of(run), backward_kernel, grid_of(x.dim(1)), x.dim(0), x.dim(1), x.as<float>(),
             run.in[1].as<float>(), run.out[1].as<float>(), run.out[2].as<float>(),
             run.dout[0].as<float>(), slopes);
}

}  // namespace

extern const Kernel batch_norm_cuda = {forward, backward};

}  // namespace protea
