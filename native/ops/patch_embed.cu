#include "../cuda/gemm.h"
#include "../cuda/map.cuh"
#include "../cuda/sums.cuh"
#include "patch_embed.h"

namespace protea {
namespace {

// Element i of the patches as rows (B N, C P P).
struct Unfolded {
  Patches s;
  const float* image;
  GPU_DEVICE float operator()(int64_t i) const {
    int64_t depth = s.C * s.P * s.P, patch = i / depth, at = i % depth;
    int64_t b = patch / (s.down * s.across), y = patch / s.across % s.down, x = patch % s.across;
    int64_t c = at / (s.P * s.P), row = y * s.P + at / s.P % s.P, column = x * s.P + at % s.P;
    return image[((b * s.C + c) * s.H + row) * s.W + column];
  }
};

// Pixel i of the image: patches do not overlap, so it has one place in the rows, or none.
struct Folded {
  Patches s;
  const float* rows;
  GPU_DEVICE float operator()(int64_t i) const {
    int64_t column = i % s.W, row = i / s.W % s.H, c = i / (s.W * s.H) % s.C;
    int64_t b = i / (s.W * s.H * s.C), y = row / s.P, x = column / s.P;
    if (y >= s.down || x >= s.across) return 0;
    int64_t at = (c * s.P + row % s.P) * s.P + column % s.P;
    return rows[((b * s.down + y) * s.across + x) * s.C * s.P * s.P + at];
  }
};

float* unfold(const Run& run, const Patches& s) {
  Gpu& gpu = Gpu::of(run);
  float* rows = gpu.scratch<float>(0, s.rows() * s.depth());
  gpu::store(gpu, Unfolded{s, run.in[0].as<float>()}, rows, s.rows() * s.depth());
  return rows;
}

void forward(const Run& run) {
  Patches s(run);
  const float* rows = unfold(run, s);
  gpu::gemm(Gpu::of(run), s.rows(), s.D, s.depth(), {rows, s.depth()},
            {run.in[1].as<float>(), s.depth(), true}, run.out[0].as<float>(), s.D, false,
            {run.in[2].as<float>()});
}

void backward(const Run& run) {
  Patches s(run);
  Gpu& gpu = Gpu::of(run);
  const float* dy = run.dout[0].as<float>();
  if (const Gradient& dweight = run.din[1]) {
    const float* rows = unfold(run, s);
    gpu::gemm(gpu, s.D, s.depth(), s.rows(), {dy, s.D, true}, {rows, s.depth()},
              dweight.as<float>(), s.depth(), dweight.accumulate);
  }
  if (const Gradient& dbias = run.din[2])
    gpu::column_sums(gpu, gpu::Stored{dy, s.D}, s.rows(), s.D, dbias.as<float>(), dbias.accumulate);
  if (const Gradient& dimage = run.din[0]) {
    float* rows = gpu.scratch<float>(0, s.rows() * s.depth());
    gpu::gemm(gpu, s.rows(), s.depth(), s.D, {dy, s.D}, {run.in[1].as<float>(), s.depth()}, rows,
              s.depth(), false);
    gpu::store(gpu, Folded{s, rows}, dimage);
  }
}

}  // namespace

extern const Kernel patch_embed_cuda = {forward, backward};

}  // namespace protea
