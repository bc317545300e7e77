#include "../cuda/row_softmax.cuh"

namespace protea {
namespace {

// loss_b = Σ q (lse - z / T), and p is kept
template <bool whole_block>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>)
    forward_kernel(int64_t rows, int64_t K, const float* __restrict__ z,
                   const float* __restrict__ q, float scale, float* loss, float* __restrict__ p) {
  gpu::RowTeam<whole_block> team(rows);
  int64_t row = team.row;
  const float *from = z + row * K, *target = q + row * K;
  float* to = p + row * K;
  gpu::RowSoftmax of = gpu::row_softmax(team, K, from, scale);
  float lse = of.most + logf(of.sum), inverse = 1 / of.sum, total = 0;
  team.each(K, [&](int64_t k) {
    float logit = scale * from[k];
    total += target[k] * (lse - logit);
    if (team.inside) to[k] = expf(logit - of.most) * inverse;
  });
  total = team.sum(total);
  if (team.inside && team.index == 0) loss[row] = total;
}

// dz = dloss / T (p Σ q - q)
template <bool whole_block>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>)
    backward_kernel(int64_t rows, int64_t K, const float* __restrict__ p,
                    const float* __restrict__ q, const float* dloss, float scale,
                    float* __restrict__ dz, bool accumulate) {
  gpu::RowTeam<whole_block> team(rows);
  int64_t row = team.row;
  const float *of = p + row * K, *target = q + row * K;
  float* to = dz + row * K;
  float sum = 0;
  team.each(K, [&](int64_t k) { sum += target[k]; });
  sum = team.sum(sum);
  if (!team.inside) return;
  float upstream = dloss[row] * scale;
  team.each(K,
            [&](int64_t k) { gpu::put(to, k, upstream * (of[k] * sum - target[k]), accumulate); });
}

float scale_of(const Run& run) { return static_cast<float>(1 / run.attrs.number("temperature")); }

void forward(const Run& run) {
  const Array& z = run.in[0];
  GPU_LAUNCH_ROWS(Gpu::of(run), forward_kernel, z.dim(0), z.dim(1), z.as<float>(),
                  run.in[1].as<float>(), scale_of(run), run.out[0].as<float>(),
                  run.out[1].as<float>());
}

void backward(const Run& run) {
  const Gradient& dz = run.din[0];
  if (!dz) return;
  const Array& p = run.out[1];
  GPU_LAUNCH_ROWS(Gpu::of(run), backward_kernel, p.dim(0), p.dim(1), p.as<float>(),
                  run.in[1].as<float>(), run.dout[0].as<float>(), scale_of(run), dz.as<float>(),
                  dz.accumulate);
}

}  // namespace

extern const Kernel soft_cross_entropy_cuda = {forward, backward};

}  // namespace protea
