#include "l2_normalize.cuh"

namespace protea {
namespace {

template <bool whole_block>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>)
    forward_kernel(int64_t rows, int64_t D, const float* x, float eps, float* y, float* norms) {
  gpu::RowTeam<whole_block> team(rows);
  const float* from = x + team.row * D;
  float square = 0;
  for (int64_t d = team.index; d < D; d += team.size) square += from[d] * from[d];
  float norm = sqrtf(team.sum(square));
  if (!team.inside) return;
  float inverse = 1 / (norm != norm ? norm : fmaxf(norm, eps));
  for (int64_t d = team.index; d < D; d += team.size) y[team.row * D + d] = from[d] * inverse;
  if (team.index == 0) norms[team.row] = norm;
}

void forward(const Run& run) {
  const Array& x = run.in[0];
  GPU_LAUNCH_ROWS(Gpu::of(run), forward_kernel, x.shape.rows(), x.dim(-1), x.as<float>(),
                  static_cast<float>(run.attrs.number("eps")), run.out[0].as<float>(),
                  run.out[1].as<float>());
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  const Array& y = run.out[0];
  GPU_LAUNCH_ROWS(Gpu::of(run), normalize_back_kernel, y.shape.rows(), y.dim(-1), y.as<float>(),
                  run.dout[0].as<float>(), run.out[1].as<float>(),
                  static_cast<float>(run.attrs.number("eps")), dx.as<float>(), dx.accumulate);
}

}  // namespace

extern const Kernel l2_normalize_cuda = {forward, backward};

}  // namespace protea
