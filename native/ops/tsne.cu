// All pairs of N points: p (N, N) once, then two launches a step: the forces, a warp a point, and
// the move of all points by one block.
#include <cmath>

#include "../cuda/block.cuh"
#include "../cuda/gemm.h"

namespace protea {
namespace {

constexpr int row_threads = 256, move_threads = 512;

// squares (N): what a point's product with itself is, before distances replace the products.
__global__ void squares_kernel(const float* products, int64_t N, float* squares) {
  for (int64_t i = gpu::first_index(); i < N; i += gpu::index_stride())
    squares[i] = products[i * N + i];
}

// e^(-beta (d - least)) over a row of squared distances, without point i itself.
struct Row {
  const float* d;
  int64_t N, i;
  float least;

  GPU_DEVICE float weight(int64_t j, float beta) const {
    return j == i ? 0 : expf(-beta * (d[j] - least));
  }
  // The entropy of the weights, and their sum; of the whole block.
  GPU_DEVICE double entropy(float beta, double* sum) const {
    double total = 0, weighted = 0;
    for (int64_t j = threadIdx.x; j < N; j += row_threads) {
      float w = weight(j, beta);
      total += w;
      weighted += w * (d[j] - least);
    }
    *sum = gpu::block_sum(total);
    return log(*sum) + beta * gpu::block_sum(weighted) / *sum;
  }
};

// A block a row: products become squared distances, then the probabilities whose entropy is
// log perplexity, by bisection on beta. All threads see the same sums and take the same steps.
__global__ void __launch_bounds__(row_threads)
    neighbours_kernel(int64_t N, const float* squares, double target, float* p) {
  int64_t i = blockIdx.x;
  float* d = p + i * N;
  float nearest = -INFINITY;
  for (int64_t j = threadIdx.x; j < N; j += row_threads) {
    d[j] = fmaxf(0, squares[i] + squares[j] - 2 * d[j]);
    if (j != i) nearest = fmaxf(nearest, -d[j]);
  }
  Row row{d, N, i, -gpu::block_max(nearest)};
  double beta = 1, low = 0, high = INFINITY, sum = 1;
  for (int step = 0; step < 100; step++) {
    double entropy = row.entropy(static_cast<float>(beta), &sum);
    if (fabs(entropy - target) < 1e-5) break;
    (entropy > target ? low : high) = beta;
    beta = isinf(high) ? 2 * beta : (low + high) / 2;
  }
  for (int64_t j = threadIdx.x; j < N; j += row_threads)
    d[j] = static_cast<float>(row.weight(j, static_cast<float>(beta)) / sum);
}

// p_ij = p_ji = the mean of both over N; each pair by one thread.
__global__ void symmetric_kernel(int64_t N, float* p) {
  for (int64_t n = gpu::first_index(); n < N * N; n += gpu::index_stride()) {
    int64_t i = n / N, j = n % N;
    if (j >= i) continue;
    float mean = (p[n] + p[j * N + i]) / static_cast<float>(2 * N);
    p[n] = p[j * N + i] = fmaxf(mean, 1e-12f);
  }
}

// Σ_j p q' (y_i - y_j), Σ_j q'² (y_i - y_j) and Σ_j q' without i, q' = 1 / (1 + ||y_i - y_j||²)
struct Force {
  float pull_x, pull_y, push_x, push_y, sum;
};

// Positions, last steps and gains: all x, then all y.
struct Points {
  int64_t N;
  float *at, *step, *gain;
};

__global__ void start_kernel(Points points, const float* start) {
  for (int64_t k = gpu::first_index(); k < 2 * points.N; k += gpu::index_stride()) {
    points.at[k] = start[k < points.N ? 2 * k : 2 * (k - points.N) + 1];
    points.step[k] = 0;
    points.gain[k] = 1;
  }
}

__global__ void force_kernel(Points points, const float* p, Force* forces) {
  int64_t N = points.N,
          i = static_cast<int64_t>(blockIdx.x) * gpu::warp_count() + gpu::warp_index();
  int64_t row = i < N ? i : 0;
  const float *xs = points.at, *ys = points.at + N;
  Force f{0, 0, 0, 0, 0};
  for (int64_t j = gpu::lane_index(); j < N; j += 32) {
    float x = xs[row] - xs[j], y = ys[row] - ys[j], q = 1 / (1 + x * x + y * y);
    float pull = p[row * N + j] * q, push = q * q;
    f.pull_x += pull * x;
    f.pull_y += pull * y;
    f.push_x += push * x;
    f.push_y += push * y;
    f.sum += q;
  }
  Force all{gpu::warp_sum(f.pull_x), gpu::warp_sum(f.pull_y), gpu::warp_sum(f.push_x),
            gpu::warp_sum(f.push_y), gpu::warp_sum(f.sum) - 1};
  if (i < N && gpu::lane_index() == 0) forces[i] = all;
}

struct Descent {
  float exaggeration, momentum, rate;

  GPU_DEVICE void move(const Points& points, int64_t k, float slope) const {
    bool same = (slope > 0) == (points.step[k] > 0);
    float gain = fmaxf(same ? points.gain[k] * 0.8f : points.gain[k] + 0.2f, 0.01f);
    points.gain[k] = gain;
    points.step[k] = momentum * points.step[k] - rate * gain * slope;
    points.at[k] += points.step[k];
  }
};

// One block moves all points and centres them.
__global__ void __launch_bounds__(move_threads)
    move_kernel(Points points, const Force* forces, Descent descent) {
  int64_t N = points.N;
  double total = 0, x = 0, y = 0;
  for (int64_t i = threadIdx.x; i < N; i += move_threads) total += forces[i].sum;
  auto share = static_cast<float>(1 / gpu::block_sum(total));
  for (int64_t i = threadIdx.x; i < N; i += move_threads) {
    const Force& f = forces[i];
    float scale = descent.exaggeration;
    descent.move(points, i, 4 * (scale * f.pull_x - f.push_x * share));
    descent.move(points, N + i, 4 * (scale * f.pull_y - f.push_y * share));
    x += points.at[i];
    y += points.at[N + i];
  }
  auto mean_x = static_cast<float>(gpu::block_sum(x) / static_cast<double>(N));
  auto mean_y = static_cast<float>(gpu::block_sum(y) / static_cast<double>(N));
  for (int64_t i = threadIdx.x; i < N; i += move_threads) {
    points.at[i] -= mean_x;
    points.at[N + i] -= mean_y;
  }
}

__global__ void write_kernel(Points points, float* y) {
  for (int64_t i = gpu::first_index(); i < 2 * points.N; i += gpu::index_stride())
    y[i] = points.at[i % 2 * points.N + i / 2];
}

// p (N, N), symmetric, of sum 1.
const float* joint(Gpu& gpu, const Array& x, double perplexity) {
  int64_t N = x.dim(0), P = x.dim(1);
  float *p = gpu.scratch<float>(0, N * N), *squares = gpu.scratch<float>(1, N);
  // Near points are told apart by differences of products, which bf16 would not leave.
  gpu::gemm(gpu, Precision::F32, N, N, P, {x.as<float>(), P}, {x.as<float>(), P, true}, p, N,
            false);
  GPU_LAUNCH(gpu, squares_kernel, gpu::cover(N), p, N, squares);
  gpu::Grid rows{dim3(static_cast<unsigned>(N)), dim3(row_threads)};
  GPU_LAUNCH(gpu, neighbours_kernel, rows, N, squares, std::log(perplexity), p);
  GPU_LAUNCH(gpu, symmetric_kernel, gpu::cover(N * N), N, p);
  return p;
}

void forward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  int64_t N = run.in[0].dim(0), iterations = run.attrs.integer("iterations");
  const float* p = joint(gpu, run.in[0], run.attrs.number("perplexity"));
  float* state = gpu.scratch<float>(2, 6 * N);
  auto* forces = gpu.scratch<Force>(3, N);
  Points points{N, state, state + 2 * N, state + 4 * N};
  GPU_LAUNCH(gpu, start_kernel, gpu::cover(2 * N), points, run.in[1].as<float>());
  gpu::Grid warps = gpu::a_warp_each(N);
  float rate = std::fmax(50.0f, static_cast<float>(N) / 48);
  for (int64_t i = 0; i < iterations; i++) {
    bool early = 2 * i < iterations;
    GPU_LAUNCH(gpu, force_kernel, warps, points, p, forces);
    GPU_LAUNCH(gpu, move_kernel, gpu::Grid{dim3(1), dim3(move_threads)}, points, forces,
               early ? Descent{12, 0.5f, rate} : Descent{1, 0.8f, rate});
  }
  GPU_LAUNCH(gpu, write_kernel, gpu::cover(2 * N), points, run.out[0].as<float>());
}

}  // namespace

extern const Kernel tsne_cuda = {forward, nullptr};

}  // namespace protea
