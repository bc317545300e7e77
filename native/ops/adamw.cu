#include <cmath>
#include <vector>

#include "../cuda/block.cuh"
#include "../cuda/device.h"
#include "adamw.h"

namespace protea {
namespace {

constexpr size_t stride = 5;
enum { param, grad, exp_avg, exp_avg_sq, teacher };
constexpr int64_t chunk = 1 << 14;  // elements a block works on

// One parameter with the constants of its step; see adamw.cpp for the equations.
struct Parameter {
  float *p, *m, *v, *teacher;
  const float* g;
  int64_t size, first_chunk, chunks;
  AdamWStep step;
  int group;
};

// A chunk of all the parameters' elements, one after another.
struct Chunk {
  int parameter;
  int64_t begin;
};

__global__ void square_kernel(const Parameter* parameters, const Chunk* chunks, double* squares) {
  Chunk of = chunks[blockIdx.x];
  const Parameter& s = parameters[of.parameter];
  int64_t end = of.begin + chunk < s.size ? of.begin + chunk : s.size;
  double sum = 0;
  for (int64_t i = of.begin + threadIdx.x; s.g && i < end; i += blockDim.x)
    sum += static_cast<double>(s.g[i]) * s.g[i];
  sum = gpu::block_sum(sum);
  if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

// norms (n) and clip_scale (n), in one block; a scale below 0 says that nothing is to change.
__global__ void norm_kernel(const Parameter* parameters, int n, const double* squares, float clip,
                            const float* guard, double* norms, double* groups, float* scales) {
  GPU_SHARED(int, bad, );
  if (threadIdx.x == 0) bad = guard && !isfinite(*guard);
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    const Parameter& s = parameters[i];
    double sum = 0;
    for (int64_t c = 0; c < s.chunks; c++) sum += squares[s.first_chunk + c];
    norms[i] = sqrt(sum);
    if (!isfinite(norms[i])) atomicMax(&bad, 1);
  }
  __syncthreads();
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

__global__ void update_kernel(const Parameter* parameters, const Chunk* chunks, const float* scales,
                              float momentum) {
  Chunk of = chunks[blockIdx.x];
  const Parameter& s = parameters[of.parameter];
  const AdamWStep& step = s.step;
  float clip = scales[of.parameter];
  if (clip < 0) return;
  int64_t end = of.begin + chunk < s.size ? of.begin + chunk : s.size;
  for (int64_t i = of.begin + threadIdx.x; i < end; i += blockDim.x) {
    float p = s.p[i];
    if (s.g) {
      float g = s.g[i] * clip, m = s.m[i], v = s.v[i];
      m += step.new1 * (g - m);
      v = step.beta2 * v + step.new2 * g * g;
      p = p * step.decay - step.rate * m / (sqrtf(v) * step.root + step.eps);
      s.m[i] = m;
      s.v[i] = v;
      s.p[i] = p;
    }
    if (s.teacher) s.teacher[i] = momentum * s.teacher[i] + (1 - momentum) * p;
  }
}

Parameter parameter_of(const Run& run, size_t i) {
  const Array* of = &run.in[1 + i * stride];
  auto given = [&](int which) { return of[which] ? of[which].as<float>() : nullptr; };
  return {.p = given(param),
          .m = given(exp_avg),
          .v = given(exp_avg_sq),
          .teacher = given(teacher),
          .g = given(grad),
          .size = of[param].size(),
          .first_chunk = 0,
          .chunks = (of[param].size() + chunk - 1) / chunk,
          .step = adamw_step(run.attrs, i),
          .group = static_cast<int>(run.attrs.list("clip_group")[i])};
}

void forward(const Run& run) {
  Gpu& gpu = Gpu::of(run);
  size_t n = run.in.size() / stride;
  std::vector<Parameter> parameters;
  std::vector<Chunk> chunks;
  for (size_t i = 0; i < n; i++) {
    parameters.push_back(parameter_of(run, i));
    check(parameters.back().group < static_cast<int>(n), Code::Unsupported,
          "[adamw] clip_group must be below the number of parameters, ", n);
    parameters.back().first_chunk = static_cast<int64_t>(chunks.size());
    for (int64_t begin = 0; begin < parameters.back().size; begin += chunk)
      chunks.push_back({static_cast<int>(i), begin});
  }
  const Parameter* table = gpu.constants<Parameter>(0, parameters);
  const Chunk* pieces = gpu.constants<Chunk>(1, chunks);
  double* squares = gpu.scratch<double>(2, chunks.size());
  double* groups = gpu.scratch<double>(3, n);
  float* scales = gpu.scratch<float>(4, n);
  gpu::Grid grid{dim3(static_cast<unsigned>(chunks.size())), dim3(256)};
  auto momentum = static_cast<float>(run.attrs.number("momentum", 1));
  if (!chunks.empty()) GPU_LAUNCH(gpu, square_kernel, grid, table, pieces, squares);
  GPU_LAUNCH(gpu, norm_kernel, gpu::Grid{dim3(1), dim3(256)}, table, static_cast<int>(n), squares,
             static_cast<float>(run.attrs.number("clip", 0)),
             run.in[0] ? run.in[0].as<float>() : nullptr, run.out[0].as<double>(), groups, scales);
  if (!chunks.empty()) GPU_LAUNCH(gpu, update_kernel, grid, table, pieces, scales, momentum);
}

}  // namespace

extern const Kernel adamw_cuda = {forward, nullptr};

}  // namespace protea
