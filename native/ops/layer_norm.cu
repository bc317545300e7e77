#include "../cuda/rows.cuh"
#include "../cuda/stored.cuh"
#include "../cuda/sums.cuh"

namespace protea {
namespace {

template <class T, bool whole_block, int held>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>)
    forward_kernel(int64_t rows, int64_t D, const float* __restrict__ x,
                   const float* __restrict__ weight, const float* __restrict__ bias, float eps,
                   T* __restrict__ y, float* mean, float* rstd) {
  gpu::RowTeam<whole_block> team(rows);
  int64_t row = team.row;
  gpu::HeldRow<held> from(team, x + row * D, D);
  T* to = y + row * D;
  float sum = 0, square = 0;
  gpu::each_held<held>(team, D, [&](int n, int64_t d) { sum += from.at(n, d); });
  float center = team.sum(sum) / static_cast<float>(D);
  gpu::each_held<held>(team, D, [&](int n, int64_t d) {
    float apart = from.at(n, d) - center;
    square += apart * apart;
  });
  float inverse = 1 / sqrtf(team.sum(square) / static_cast<float>(D) + eps);
  if (!team.inside) return;
  gpu::each_held<held>(team, D, [&](int n, int64_t d) {
    to[d] = gpu::rounded<T>((from.at(n, d) - center) * inverse * weight[d] + bias[d]);
  });
  if (team.index > 0) return;
  mean[team.row] = center;
  rstd[team.row] = inverse;
}

// With h = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - h mean(g h))
// Two blocks of warps a processor: of the widest rows held a lane would take a few registers more.
template <class T, bool whole_block, int held>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>, whole_block ? 1 : 2)
    dx_kernel(int64_t rows, int64_t D, const float* __restrict__ x,
              const float* __restrict__ weight, const float* mean, const float* rstd,
              const T* __restrict__ dy, float* __restrict__ dx, bool accumulate) {
  gpu::RowTeam<whole_block> team(rows);
  int64_t row = team.row;
  gpu::HeldRow<held> from(team, x + row * D, D);
  gpu::HeldRow<held, T> upstream(team, dy + row * D, D);
  float* to = dx + row * D;
  float center = mean[row], inverse = rstd[row], sum = 0, along = 0;
  gpu::each_held<held>(team, D, [&](int n, int64_t d) {
    float g = upstream.at(n, d) * weight[d];
    sum += g;
    along += g * (from.at(n, d) - center) * inverse;
  });
  sum = team.sum(sum) / static_cast<float>(D);
  along = team.sum(along) / static_cast<float>(D);
  if (!team.inside) return;
  gpu::each_held<held>(team, D, [&](int n, int64_t d) {
    float h = (from.at(n, d) - center) * inverse;
    gpu::put(to, d, inverse * (upstream.at(n, d) * weight[d] - sum - h * along), accumulate);
  });
}

// What a number adds to the gradients of weight and bias: dy h and dy.
struct Slopes {
  float weight, bias;
  GPU_DEVICE void operator+=(const Slopes& other) {
    weight += other.weight;
    bias += other.bias;
  }
};

template <class T>
struct SlopesTerm {
  const float *x, *mean, *rstd;
  const T* dy;
  int64_t D;
  GPU_DEVICE Slopes operator()(int64_t i, int64_t j) const {
    float upstream = gpu::to_float(dy[i * D + j]);
    return {upstream * (x[i * D + j] - mean[i]) * rstd[i], upstream};
  }
};

// Where the sums go; null: not wanted.
struct PutSlopes {
  float *dweight, *dbias;
  bool add_dweight, add_dbias;
  GPU_DEVICE void operator()(int64_t j, const Slopes& sum) const {
    if (dweight) gpu::put(dweight, j, sum.weight, add_dweight);
    if (dbias) gpu::put(dbias, j, sum.bias, add_dbias);
  }
};

void forward(const Run& run) {
  const Array &x = run.in[0], &y = run.out[0];
  int64_t rows = x.shape.rows(), D = x.dim(-1);
  gpu::with_stored(y, [&]<class T>() {
    gpu::with_held(D, [&]<int held>() {
      gpu::launch_rows(Gpu::of(run), "forward_kernel", forward_kernel<T, true, 0>,
                       forward_kernel<T, false, held>, rows, D, rows, D, x.as<float>(),
                       run.in[1].as<float>(), run.in[2].as<float>(),
                       static_cast<float>(run.attrs.number("eps")), y.as<T>(),
                       run.out[1].as<float>(), run.out[2].as<float>());
    });
  });
}

template <class T>
void back_input(const Run& run) {
  const Array& x = run.in[0];
  const Gradient& dx = run.din[0];
  if (!dx) return;
  int64_t rows = x.shape.rows(), D = x.dim(-1);
  gpu::with_held(D, [&]<int held>() {
    gpu::launch_rows(Gpu::of(run), "dx_kernel", dx_kernel<T, true, 0>, dx_kernel<T, false, held>,
                     rows, D, rows, D, x.as<float>(), run.in[1].as<float>(), run.out[1].as<float>(),
                     run.out[2].as<float>(), run.dout[0].as<T>(), dx.as<float>(), dx.accumulate);
  });
}

template <class T>
void back_parameters(const Run& run) {
  const Gradient &dweight = run.din[1], &dbias = run.din[2];
  if (!dweight && !dbias) return;
  const Array& x = run.in[0];
  int64_t D = x.dim(-1);
  SlopesTerm<T> term{x.as<float>(), run.out[1].as<float>(), run.out[2].as<float>(),
                     run.dout[0].as<T>(), D};
  PutSlopes put{dweight.as<float>(), dbias.as<float>(), dweight.accumulate, dbias.accumulate};
  gpu::sum_each_column(Gpu::of(run), term, x.shape.rows(), D, put);
}

void backward(const Run& run) {
  gpu::with_stored(run.dout[0], [&]<class T>() {
    back_input<T>(run);
    back_parameters<T>(run);
  });
}

}  // namespace

extern const Kernel layer_norm_cuda = {forward, backward};

}  // namespace protea
