#include "../cuda/rows.cuh"

namespace protea {
namespace {

// loss_b = Σ q (lse - z / T), and p is kept
template <bool whole_block>
__global__ void forward_kernel(int64_t rows, int64_t K, const float* z, const float* q, float scale,
                               float* loss, float* p) {
  gpu::RowTeam<whole_block> team;
  bool inside = team.row < rows;
  int64_t row = inside ? team.row : 0;
  float most = -INFINITY, sum = 0, total = 0;
  for (int64_t k = team.index; k < K; k += team.size) most = fmaxf(most, scale * z[row * K + k]);
  most = team.max(most);
  for (int64_t k = team.index; k < K; k += team.size) sum += expf(scale * z[row * K + k] - most);
  sum = team.sum(sum);
  float lse = most + logf(sum);
  for (int64_t k = team.index; k < K; k += team.size)
    total += q[row * K + k] * (lse - scale * z[row * K + k]);
  total = team.sum(total);
  if (!inside) return;
  for (int64_t k = team.index; k < K; k += team.size)
    p[row * K + k] = expf(scale * z[row * K + k] - most) / sum;
  if (team.index == 0) loss[row] = total;
}

// dz = dloss / T (p Σ q - q)
template <bool whole_block>
__global__ void backward_kernel(int64_t rows, int64_t K, const float* p, const float* q,
                                const float* dloss, float scale, float* dz, bool accumulate) {
  gpu::RowTeam<whole_block> team;
  bool inside = team.row < rows;
  int64_t row = inside ? team.row : 0;
  float sum = 0;
  for (int64_t k = team.index; k < K; k += team.size) sum += q[row * K + k];
  sum = team.sum(sum);
  if (!inside) return;
  float upstream = dloss[row] * scale;
  for (int64_t k = team.index; k < K; k += team.size)
    gpu::put(dz, row * K + k, upstream * (p[row * K + k] * sum - q[row * K + k]), accumulate);
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
