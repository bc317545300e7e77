#include "../cuda/rows.cuh"

namespace protea {
namespace {

template <bool whole_block>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>)
    forward_kernel(int64_t rows, int64_t P, const float* v, const float* g, float* w,
                   float* norms) {
  gpu::RowTeam<whole_block> team(rows);
  int64_t row = team.row;
  float square = 0;
  for (int64_t p = team.index; p < P; p += team.size) square += v[row * P + p] * v[row * P + p];
  float norm = sqrtf(team.sum(square));
  if (!team.inside) return;
  float scale = norm > 0 ? (g ? g[row] : 1) / norm : 0;
  for (int64_t p = team.index; p < P; p += team.size) w[row * P + p] = scale * v[row * P + p];
  if (team.index == 0) norms[row] = norm;
}

// dg = <dW, v> / ||v||;  dv = g / ||v|| (dW - v <dW, v> / ||v||^2)
template <bool whole_block>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>)
    backward_kernel(int64_t rows, int64_t P, const float* v, const float* g, const float* norms,
                    const float* dw, float* dv, float* dg, bool add_dv, bool add_dg) {
  gpu::RowTeam<whole_block> team(rows);
  int64_t row = team.row;
  float along = 0, inverse = norms[row] > 0 ? 1 / norms[row] : 0;
  for (int64_t p = team.index; p < P; p += team.size) along += dw[row * P + p] * v[row * P + p];
  along = team.sum(along) * inverse;
  if (!team.inside) return;
  float scale = (g ? g[row] : 1) * inverse;
  for (int64_t p = team.index; dv && p < P; p += team.size)
    gpu::put(dv, row * P + p, scale * (dw[row * P + p] - along * inverse * v[row * P + p]), add_dv);
  if (dg && team.index == 0) gpu::put(dg, row, along, add_dg);
}

void forward(const Run& run) {
  const Array& v = run.in[0];
  GPU_LAUNCH_ROWS(Gpu::of(run), forward_kernel, v.dim(0), v.dim(1), v.as<float>(),
                  run.in[1].as<float>(), run.out[0].as<float>(), run.out[1].as<float>());
}

void backward(const Run& run) {
  const Array& v = run.in[0];
  const Gradient &dv = run.din[0], &dg = run.din[1];
  if (!dv && !dg) return;
  GPU_LAUNCH_ROWS(Gpu::of(run), backward_kernel, v.dim(0), v.dim(1), v.as<float>(),
                  run.in[1].as<float>(), run.out[1].as<float>(), run.dout[0].as<float>(),
                  dv.as<float>(), dg.as<float>(), dv.accumulate, dg.accumulate);
}

}  // namespace

extern const Kernel weight_norm_cuda = {forward, backward};

}  // namespace protea
