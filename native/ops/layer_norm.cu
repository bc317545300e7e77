#include "../cuda/rows.cuh"
#include "../cuda/sums.cuh"

namespace protea {
namespace {

template <bool whole_block>
__global__ void forward_kernel(int64_t rows, int64_t D, const float* x, const float* weight,
                               const float* bias, float eps, float* y, float* mean, float* rstd) {
  gpu::RowTeam<whole_block> team;
  bool inside = team.row < rows;
  const float* from = x + (inside ? team.row : 0) * D;
  float sum = 0, square = 0;
  for (int64_t d = team.index; d < D; d += team.size) sum += from[d];
  float center = team.sum(sum) / static_cast<float>(D);
  for (int64_t d = team.index; d < D; d += team.size)
    square += (from[d] - center) * (from[d] - center);
  float inverse = 1 / sqrtf(team.sum(square) / static_cast<float>(D) + eps);
  if (!inside) return;
  for (int64_t d = team.index; d < D; d += team.size)
    y[team.row * D + d] = (from[d] - center) * inverse * weight[d] + bias[d];
  if (team.index > 0) return;
  mean[team.row] = center;
  rstd[team.row] = inverse;
}

// With h = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - h mean(g h))
template <bool whole_block>
__global__ void dx_kernel(int64_t rows, int64_t D, const float* x, const float* weight,
                          const float* mean, const float* rstd, const float* dy, float* dx,
                          bool accumulate) {
  gpu::RowTeam<whole_block> team;
  bool inside = team.row < rows;
  int64_t row = inside ? team.row : 0;
  float center = mean[row], inverse = rstd[row], sum = 0, along = 0;
  for (int64_t d = team.index; d < D; d += team.size) {
    float g = dy[row * D + d] * weight[d];
    sum += g;
    along += g * (x[row * D + d] - center) * inverse;
  }
  sum = team.sum(sum) / static_cast<float>(D);
  along = team.sum(along) / static_cast<float>(D);
  if (!inside) return;
  for (int64_t d = team.index; d < D; d += team.size) {
    float h = (x[row * D + d] - center) * inverse;
    gpu::put(dx, row * D + d, inverse * (dy[row * D + d] * weight[d] - sum - h * along),
             accumulate);
  }
}

struct WeightTerm {
  const float *x, *mean, *rstd, *dy;
  int64_t D;
  GPU_DEVICE float operator()(int64_t i, int64_t j) const {
    return dy[i * D + j] * (x[i * D + j] - mean[i]) * rstd[i];
  }
};

void forward(const Run& run) {
  const Array& x = run.in[0];
  GPU_LAUNCH_ROWS(Gpu::of(run), forward_kernel, x.shape.rows(), x.dim(-1), x.as<float>(),
                  run.in[1].as<float>(), run.in[2].as<float>(),
                  static_cast<float>(run.attrs.number("eps")), run.out[0].as<float>(),
                  run.out[1].as<float>(), run.out[2].as<float>());
}

void backward(const Run& run) {
  const Array &x = run.in[0], &dy = run.dout[0];
  Gpu& gpu = Gpu::of(run);
  int64_t rows = x.shape.rows(), D = x.dim(-1);
  const float *mean = run.out[1].as<float>(), *rstd = run.out[2].as<float>();
  if (const Gradient& dx = run.din[0])
    GPU_LAUNCH_ROWS(gpu, dx_kernel, rows, D, x.as<float>(), run.in[1].as<float>(), mean, rstd,
                    dy.as<float>(), dx.as<float>(), dx.accumulate);
  if (const Gradient& dweight = run.din[1])
    gpu::column_sums(gpu, WeightTerm{x.as<float>(), mean, rstd, dy.as<float>(), D}, rows, D,
                     dweight.as<float>(), dweight.accumulate);
  if (const Gradient& dbias = run.din[2])
    gpu::column_sums(gpu, gpu::Stored{dy.as<float>(), D}, rows, D, dbias.as<float>(),
                     dbias.accumulate);
}

}  // namespace

extern const Kernel layer_norm_cuda = {forward, backward};

}  // namespace protea
