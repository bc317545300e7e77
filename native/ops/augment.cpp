// augment: cuts views out of pictures and changes them, in whole 8-bit steps, then normalises
//   pixels (n) u8: RGB pictures of any sizes, one after another, row by row
//   attrs size: S; mean, std: of 3 channels, of values in [0, 1]; views: 23 numbers for each of M
//   views: offset, width, height of its picture in pixels; top, left, height, width of its box;
//   then up to 8 changes in order, each (kind, argument), kind -1: none
//   -> (M, 3, S, S) f32: (v / 255 - mean) / std
//   box: resampled to S x S, bicubic (a = -0.5), antialiased: across, rounded, then down
//   kinds: 3 flip; 4 brightness, 5 contrast, 6 saturation by a factor; 7 hue by a turn in
//   [-1/2, 1/2]; 8 grayscale; 9 box blur of a radius (three times across, three times down);
//   11 solarize from a threshold
//   The levels are Pillow's, the same bytes on both devices; no gradient.
//   Caron et al. 2021, section 3; Gwosdek et al. 2011 for the blur
#include "augment.h"

#include <cmath>

#include "../core/parallel.h"

namespace protea {
namespace {

void check_channels(const Attrs& attrs, const char* name, double least) {
  std::span<const double> values = attrs.list(name);
  check(values.size() == 3, Code::Shape, "[augment] ", name, " must be 3 numbers, got ",
        values.size());
  for (double value : values)
    check(std::isfinite(value) && value > least, Code::Shape, "[augment] ", name,
          " must be finite and above ", least, ", got ", value);
}

}  // namespace

Outputs augment_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1 && in[0], Code::Shape, "[augment] takes one pixels, got ", in.size());
  const Tensor& pixels = in[0];
  check(pixels.rank() == 1 && pixels.dtype == Dtype::U8, Code::Dtype,
        "[augment] pixels must be (n) of u8, got ", pixels.shape, " of ", name_of(pixels.dtype));
  double size = attrs.number("size");
  check(size >= 1 && size <= 4096 && size == std::floor(size), Code::Shape,
        "[augment] size must be a whole number in [1, 4096], got ", size);
  check_channels(attrs, "mean", -INFINITY);
  check_channels(attrs, "std", 0);
  size_t numbers = attrs.list("views").size();
  check(numbers % image::plan_numbers == 0, Code::Shape, "[augment] views must be ",
        image::plan_numbers, " numbers for each view, got ", numbers);
  view_plans(attrs, pixels.dim(0));
  auto S = static_cast<int64_t>(size);
  auto M = static_cast<int64_t>(numbers / image::plan_numbers);
  return {{{Shape{M, 3, S, S}, Dtype::F32}}};
}

namespace {

void forward(const Run& run) {
  const Array &pixels = run.in[0], &views = run.out[0];
  std::vector<image::ViewPlan> plans = view_plans(run.attrs, pixels.size());
  image::Normalisation by = normalisation_of(run.attrs);
  int64_t numbers = 3 * views.dim(2) * views.dim(3);
  parallel_for(views.dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; v++) {
      const image::ViewPlan& plan = plans[v];
      image::PictureView picture{pixels.as<uint8_t>() + plan.offset, plan.width, plan.height};
      image::normalise(image::apply_all(picture, plan.steps), by, views.as<float>() + v * numbers);
    }
  });
}

}  // namespace

extern const Kernel augment_cpu = {forward, nullptr};

}  // namespace protea
