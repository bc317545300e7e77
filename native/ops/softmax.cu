#include "../cuda/row_softmax.cuh"

namespace protea {
namespace {

template <bool whole_block>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>)
    forward_kernel(int64_t rows, int64_t K, const float* __restrict__ x, float scale, bool log,
                   float* __restrict__ y) {
  gpu::RowTeam<whole_block> team(rows);
  int64_t row = team.row;
  const float* from = x + row * K;
  float* to = y + row * K;
  gpu::RowSoftmax of = gpu::row_softmax(team, K, from, scale);
  if (!team.inside) return;
  float lse = of.most + logf(of.sum), inverse = 1 / of.sum;
  if (log)
    team.each(K, [&](int64_t k) { to[k] = scale * from[k] - lse; });
  else
    team.each(K, [&](int64_t k) { to[k] = expf(scale * from[k] - of.most) * inverse; });
}

// dx = p (dy - <p, dy>) / temperature; of the logarithm (dy - p sum(dy)) / temperature
template <bool whole_block>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>)
    backward_kernel(int64_t rows, int64_t K, const float* __restrict__ y,
                    const float* __restrict__ dy, float scale, bool log, float* __restrict__ dx,
                    bool accumulate) {
  gpu::RowTeam<whole_block> team(rows);
  int64_t row = team.row;
  const float *p = y + row * K, *upstream = dy + row * K;
  float* to = dx + row * K;
  float sum = 0;
  if (log)
    team.each(K, [&](int64_t k) { sum += upstream[k]; });
  else
    team.each(K, [&](int64_t k) { sum += p[k] * upstream[k]; });
  sum = team.sum(sum);
  if (!team.inside) return;
  if (log)
    team.each(K, [&](int64_t k) {
      gpu::put(to, k, scale * (upstream[k] - expf(p[k]) * sum), accumulate);
    });
  else
    team.each(
        K, [&](int64_t k) { gpu::put(to, k, scale * (p[k] * (upstream[k] - sum)), accumulate); });
}

float scale_of(const Run& run) { return static_cast<float>(1 / run.attrs.number("temperature")); }

bool log_of(const Run& run) { return run.attrs.integer("log", 0) != 0; }

void forward(const Run& run) {
  const Array& x = run.in[0];
  GPU_LAUNCH_ROWS(Gpu::of(run), forward_kernel, x.shape.rows(), x.dim(-1), x.as<float>(),
                  scale_of(run), log_of(run), run.out[0].as<float>());
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  const Array& y = run.out[0];
  GPU_LAUNCH_ROWS(Gpu::of(run), backward_kernel, y.shape.rows(), y.dim(-1), y.as<float>(),
                  run.dout[0].as<float>(), scale_of(run), log_of(run), dx.as<float>(),
                  dx.accumulate);
}

}  // namespace

extern const Kernel softmax_cuda = {forward, backward};

}  // namespace protea
