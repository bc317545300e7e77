// patch_embed: y_bn = weight · patch_n(image_b) + bias, patches of P x P pixels in raster order
//   image (B, C, H, W), weight (D, C, P, P), bias (D) or none -> y (B, N, D),
//   N = floor(H / P) floor(W / P); rows and columns beyond a whole number of patches are ignored
//   saves nothing; backward reads image and weight
//   Dosovitskiy et al. 2021, "An image is worth 16x16 words"
#include <algorithm>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "../kernels/column_sums.h"
#include "../kernels/gemm.h"
#include "patch_embed.h"

namespace protea {

Outputs patch_embed_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 3, Code::Shape, "[patch_embed] takes image, weight and bias, got ", in.size());
  const Tensor &image = in[0], &weight = in[1], &bias = in[2];
  check(image.rank() == 4 && is_floating(image.dtype), Code::Shape,
        "[patch_embed] image must be (B, C, H, W) of f32 or f64, got ", image.shape);
  check(weight.rank() == 4 && weight.dim(1) == image.dim(1) && weight.dim(2) == weight.dim(3),
        Code::Shape, "[patch_embed] weight must be (D, ", image.dim(1), ", P, P), got ",
        weight.shape);
  int64_t P = weight.dim(2), D = weight.dim(0);
  check(P > 0 && image.dim(2) >= P && image.dim(3) >= P, Code::Shape, "[patch_embed] image ",
        image.shape, " is smaller than a patch of ", P);
  check(!bias || bias.shape == Shape{D}, Code::Shape, "[patch_embed] bias must be (", D, "), got ",
        bias.shape);
  check(weight.dtype == image.dtype && (!bias || bias.dtype == image.dtype), Code::Dtype,
        "[patch_embed] image, weight and bias must have one dtype");
  int64_t N = (image.dim(2) / P) * (image.dim(3) / P);
  Outputs outputs{{{Shape{image.dim(0), N, D}, image.dtype}}};
  outputs.reads_in = 0b011;
  outputs.reads_out = 0;
  return outputs;
}

namespace {

constexpr int64_t grain = 64;  // patches

// The patches as rows (B N, C P P), in working memory.
template <class T>
T* unfold(const Patches& s, const T* image) {
  T* rows = scratch<T>(0, s.rows() * s.depth());
  parallel_for(s.rows(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; n++)
      s.each_run(n, [&](int64_t from, int64_t to) {
        std::copy_n(image + from, s.P, rows + n * s.depth() + to);
      });
  });
  return rows;
}

void forward(const Run& run) {
  Patches s(run);
  with_floating(run.in[0].dtype, [&]<class T>() {
    const T* rows = unfold<T>(s, run.in[0].as<T>());
    Epilogue<T> epilogue{run.in[2].as<T>()};
    gemm<T>(s.rows(), s.D, s.depth(), {rows, s.depth()}, {run.in[1].as<T>(), s.depth(), true},
            run.out[0].as<T>(), s.D, false, epilogue);
  });
}

// Patches do not overlap, so the pixels of each are written once.
template <class T>
void back_image(const Patches& s, const T* weight, const T* dy, const Gradient& dimage) {
  T* rows = scratch<T>(0, s.rows() * s.depth());
  T* to = dimage.as<T>();
  gemm<T>(s.rows(), s.depth(), s.D, {dy, s.D}, {weight, s.depth()}, rows, s.depth(), false);
  if (!dimage.accumulate) std::fill_n(to, dimage.array.size(), T(0));
  parallel_for(s.rows(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; n++)
      s.each_run(n, [&](int64_t pixel, int64_t at) {
        for (int64_t i = 0; i < s.P; i++) to[pixel + i] += rows[n * s.depth() + at + i];
      });
  });
}

void backward(const Run& run) {
  Patches s(run);
  with_floating(run.in[0].dtype, [&]<class T>() {
    const T* dy = run.dout[0].as<T>();
    if (const Gradient& dweight = run.din[1]) {
      const T* rows = unfold<T>(s, run.in[0].as<T>());
      gemm<T>(s.D, s.depth(), s.rows(), {dy, s.D, true}, {rows, s.depth()}, dweight.as<T>(),
              s.depth(), dweight.accumulate);
    }
    if (const Gradient& dbias = run.din[2])
      column_sums<T>(s.rows(), s.D, dy, s.D, dbias.as<T>(), dbias.accumulate);
    if (const Gradient& dimage = run.din[0]) back_image<T>(s, run.in[1].as<T>(), dy, dimage);
  });
}

}  // namespace

extern const Kernel patch_embed_cpu = {forward, backward};

}  // namespace protea
