#include <cmath>
#include <vector>

#include "../cuda/block.cuh"
#include "../cuda/device.h"
#include "adamw.h"

namespace protea {

using namespace adamw_inputs;

namespace {

constexpr int64_t chunk = 1 << 12;  // elements a block works on
constexpr int threads = 256;
constexpr int at_once = 4;  // elements of which a thread has loads under way

// One parameter with the constants of its step; see adamw.cpp for the equations.
struct Parameter {
  float *p, *m, *v, *teacher;
  gpu::bf16 *rounded_p, *rounded_teacher;  // null: not kept
  const float* g;
  int64_t size, first_chunk, chunks;
  AdamWStep step;
  int group;
};

// What a block works on, a chunk of a parameter. It is a copy in registers: what lies in memory
// would have to be loaded again after each store, which might have changed it.
struct Piece {
  float *p, *m, *v, *teacher;
  gpu::bf16 *rounded_p, *rounded_teacher;
  const float* g;
  int size;
  AdamWStep step;

  GPU_DEVICE explicit Piece(const Parameter& s) {
    int64_t begin = (blockIdx.x - s.first_chunk) * chunk, left = s.size - begin;
    p = s.p + begin;
    m = s.m + begin;
    v = s.v + begin;
    teacher = s.teacher ? s.teacher + begin : nullptr;
    rounded_p = s.rounded_p ? s.rounded_p + begin : nullptr;
    rounded_teacher = s.rounded_teacher ? s.rounded_teacher + begin : nullptr;
    g = s.g ? s.g + begin : nullptr;
    size = static_cast<int>(left < chunk ? left : chunk);
    step = s.step;
  }
};

__global__ void square_kernel(const Parameter* parameters, const int* owners, double* squares) {
  Piece s(parameters[owners[blockIdx.x]]);
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); s.g && i < s.size; i += threads)
    sum += static_cast<double>(s.g[i]) * s.g[i];
  sum = gpu::block_sum(sum);
  if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

// norms (n), a block each: a large layer has thousands of chunks.
__global__ void norm_kernel(const Parameter* parameters, const double* squares, double* norms) {
  const Parameter& s = parameters[blockIdx.x];
  const double* of = squares + s.first_chunk;
  double sum = 0;
  for (int64_t c = threadIdx.x; c < s.chunks; c += threads) sum += of[c];
  sum = gpu::block_sum(sum);
  if (threadIdx.x == 0) norms[blockIdx.x] = sqrt(sum);
}

// clip_scale (n), in one block; a scale below 0 says that nothing is to change.
__global__ void scale_kernel(const Parameter* parameters, int n, const double* norms, float clip,
                             const float* guard, double* groups, float* scales) {
  GPU_SHARED(int, bad, );
  if (threadIdx.x == 0) bad = guard && !isfinite(*guard);
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x))
    if (!isfinite(norms[i])) atomicMax(&bad, 1);
  for (int group = static_cast<int>(threadIdx.x); group < n;
       group += static_cast<int>(blockDim.x)) {
    double sum = 0;
    for (int i = 0; i < n; i++)
      if (parameters[i].group == group) sum += norms[i] * norms[i];
    groups[group] = sqrt(sum);
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    int group = parameters[i].group;
    float scale = 1;
    if (clip > 0 && group >= 0)
      scale = fminf(1.0f, static_cast<float>(clip / (groups[group] + 1e-6)));
    scales[i] = bad ? -1 : scale;
  }
}

// An element of each array; 0 where the parameter has none.
struct Element {
  float p, g, m, v, teacher;
};

GPU_DEVICE Element load(const Piece& s, int i) {
  Element e{s.p[i], 0, 0, 0, 0};
  if (s.g) e.g = s.g[i], e.m = s.m[i], e.v = s.v[i];
  if (s.teacher) e.teacher = s.teacher[i];
  return e;
}

GPU_DEVICE void update(const Piece& s, int i, Element e, float clip, float momentum) {
  const AdamWStep& step = s.step;
  if (s.g) {
    float g = e.g * clip;
    e.m += step.new1 * (g - e.m);
    e.v = step.beta2 * e.v + step.new2 * g * g;
    e.p = e.p * step.decay - step.rate * e.m / (sqrtf(e.v) * step.root + step.eps);
    s.m[i] = e.m;
    s.v[i] = e.v;
    s.p[i] = e.p;
    if (s.rounded_p) s.rounded_p[i] = gpu::rounded<gpu::bf16>(e.p);
  }
  if (!s.teacher) return;
  e.teacher = momentum * e.teacher + (1 - momentum) * e.p;
  s.teacher[i] = e.teacher;
  if (s.rounded_teacher) s.rounded_teacher[i] = gpu::rounded<gpu::bf16>(e.teacher);
}

// All that a thread needs of its elements is loaded before it stores anything. Three blocks a
// processor: a thread can have 80 registers.
__global__ void __launch_bounds__(threads, 3)
    update_kernel(const Parameter* parameters, const int* owners, const float* scales,
                  float momentum) {
  int owner = owners[blockIdx.x];
  Piece s(parameters[owner]);
  float clip = scales[owner];
  if (clip < 0) return;
  for (int i = static_cast<int>(threadIdx.x); i < s.size; i += at_once * threads) {
    Element e[at_once] = {};
#pragma unroll
    for (int n = 0; n < at_once; n++)
      if (i + n * threads < s.size) e[n] = load(s, i + n * threads);
#pragma unroll
    for (int n = 0; n < at_once; n++)
      if (i + n * threads < s.size) update(s, i + n * threads, e[n], clip, momentum);
  }
}

// Rounded rows of whole 16 bytes lie as the numbers do, and the update rounds them; others are
// rounded behind it.
bool is_padded(const Array& x) {
  int64_t columns = x.shape.rank() ? x.dim(-1) : 1;
  return rounded_row(columns) != columns;
}

gpu::bf16* rounded_of(const Array& x) {
  return is_padded(x) ? nullptr : static_cast<gpu::bf16*>(x.rounded);
}

void round_padded(Gpu& gpu, const Array& x) {
  if (x.rounded && is_padded(x)) gpu.round(x.rounded, x);
}

Parameter parameter_of(const Run& run, size_t i) {
  const Array* of = &run.in[slot(i, param)];
  return {.p = of[param].as<float>(),
          .m = of[exp_avg].as<float>(),
          .v = of[exp_avg_sq].as<float>(),
          .teacher = of[teacher].as<float>(),
          .rounded_p = rounded_of(of[param]),
          .rounded_teacher = rounded_of(of[teacher]),
          .g = of[grad].as<float>(),
          .size = of[param].size(),
          .first_chunk = 0,
          .chunks = ceil_div(of[param].size(), chunk),
          .step = adamw_step(run.attrs, i),
          .group = static_cast<int>(run.attrs.list("clip_group")[i])};
}

void forward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  size_t n = run.in.size() / stride;
  std::vector<Parameter> parameters;
  std::vector<int> owners;  // of the chunks of all parameters, one after another
  for (size_t i = 0; i < n; i++) {
    parameters.push_back(parameter_of(run, i));
    parameters.back().first_chunk = static_cast<int64_t>(owners.size());
    owners.insert(owners.end(), static_cast<size_t>(parameters.back().chunks), static_cast<int>(i));
  }
  const Parameter* table = gpu.constants<Parameter>(0, parameters);
  const int* owner = gpu.constants<int>(1, owners);
  double* squares = gpu.scratch<double>(2, owners.size());
  double* groups = gpu.scratch<double>(3, n);
  float* scales = gpu.scratch<float>(4, n);
  gpu::Grid grid{dim3(static_cast<unsigned>(owners.size())), dim3(threads)};
  gpu::Grid each{dim3(static_cast<unsigned>(n)), dim3(threads)}, one{dim3(1), dim3(threads)};
  auto* norms = run.out[0].as<double>();
  auto momentum = static_cast<float>(run.attrs.number("momentum", 1));
  if (!owners.empty()) GPU_LAUNCH(gpu, square_kernel, grid, table, owner, squares);
  GPU_LAUNCH(gpu, norm_kernel, each, table, squares, norms);
  GPU_LAUNCH(gpu, scale_kernel, one, table, static_cast<int>(n), norms,
             static_cast<float>(run.attrs.number("clip", 0)), run.in[0].as<float>(), groups,
             scales);
  if (!owners.empty()) GPU_LAUNCH(gpu, update_kernel, grid, table, owner, scales, momentum);
  for (size_t i = 0; i < n; i++)
    for (int which : {param, teacher}) round_padded(gpu, run.in[slot(i, which)]);
}

}  // namespace

extern const Kernel adamw_cuda = {forward, nullptr};

}  // namespace protea
