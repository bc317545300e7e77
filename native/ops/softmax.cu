#include "../cuda/rows.cuh"

namespace protea {
namespace {

template <bool whole_block>
__global__ void forward_kernel(int64_t rows, int64_t K, const float* x, float scale, bool log,
                               float* y) {
  gpu::RowTeam<whole_block> team;
  bool inside = team.row < rows;
  const float* from = x + (inside ? team.row : 0) * K;
  float most = -INFINITY, sum = 0;
  for (int64_t k = team.index; k < K; k += team.size) most = fmaxf(most, scale * from[k]);
  most = team.max(most);
  for (int64_t k = team.index; k < K; k += team.size) sum += expf(scale * from[k] - most);
  sum = team.sum(sum);
  if (!inside) return;
  float lse = most + logf(sum), inverse = 1 / sum;
  for (int64_t k = team.index; k < K; k += team.size)
    y[team.row * K + k] = log ? scale * from[k] - lse : expf(scale * from[k] - most) * inverse;
}

// dx = p (dy - <p, dy>) / temperature; of the logarithm (dy - p sum(dy)) / temperature
template <bool whole_block>
__global__ void backward_kernel(int64_t rows, int64_t K, const float* y, const float* dy,
                                float scale, bool log, float* dx, bool accumulate) {
  gpu::RowTeam<whole_block> team;
  bool inside = team.row < rows;
  int64_t row = inside ? team.row : 0;
  float sum = 0;
  for (int64_t k = team.index; k < K; k += team.size)
    sum += log ? dy[row * K + k] : y[row * K + k] * dy[row * K + k];
  sum = team.sum(sum);
  if (!inside) return;
  for (int64_t k = team.index; k < K; k += team.size) {
    float p = y[row * K + k], upstream = dy[row * K + k];
    gpu::put(dx, row * K + k, scale * (log ? upstream - expf(p) * sum : p * (upstream - sum)),
             accumulate);
  }
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
