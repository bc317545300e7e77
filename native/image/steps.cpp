#include "steps.h"

#include <cmath>

#include "../core/error.h"
#include "blur.h"
#include "colour.h"

namespace protea::image {
namespace {

Filter filter_of(double bicubic) { return bicubic != 0 ? Filter::Bicubic : Filter::Bilinear; }

struct Size {
  int height, width;
};

// The shorter side becomes `side`, the other keeps the aspect, cut to a whole number.
Size with_shorter_side(int height, int width, int side) {
  if (width <= height) return {static_cast<int>(int64_t{side} * height / width), side};
  return {side, static_cast<int>(int64_t{side} * width / height)};
}

// Half-way positions go to the even neighbour.
Box centre(int height, int width, int side) {
  check(side <= height && side <= width, Code::Shape, "[center_crop] side ", side,
        " is larger than the picture of ", height, " x ", width);
  return {static_cast<int>(std::nearbyint((height - side) / 2.0)),
          static_cast<int>(std::nearbyint((width - side) / 2.0)), side, side};
}

Box box_of(const Step& step, int height, int width) {
  const auto& a = step.arguments;
  Box box{static_cast<int>(a[0]), static_cast<int>(a[1]), static_cast<int>(a[2]),
          static_cast<int>(a[3])};
  check(box.top >= 0 && box.left >= 0 && box.height > 0 && box.width > 0 &&
            box.top + box.height <= height && box.left + box.width <= width,
        Code::Shape, "[resized_crop] the box lies outside the picture of ", height, " x ", width);
  return box;
}

Picture<uint8_t> resampled(PictureView from, Box box, int height, int width, Filter filter, bool) {
  return resized_crop(from, box, height, width, filter);
}

Picture<float> resampled(const Picture<float>& from, Box box, int height, int width, Filter filter,
                         bool antialias) {
  return resized_crop(from, box, height, width, filter, antialias);
}

const Picture<float>& view(const Picture<float>& picture) { return picture; }
PictureView view(const Picture<uint8_t>& picture) {
  return {picture.pixels.data(), picture.width, picture.height};
}

template <class From>
auto cut(const From& from, const Step& step) {
  const auto& a = step.arguments;
  int height = from.height, width = from.width;
  if (step.kind == StepKind::ResizedCrop)
    return resampled(from, box_of(step, height, width), static_cast<int>(a[4]),
                     static_cast<int>(a[5]), filter_of(a[6]), a[7] != 0);
  if (step.kind == StepKind::Resize) {
    Size size = with_shorter_side(height, width, static_cast<int>(a[0]));
    return resampled(from, {0, 0, height, width}, size.height, size.width, filter_of(a[1]), true);
  }
  Box box = centre(height, width, static_cast<int>(a[0]));
  return resampled(from, box, box.height, box.width, Filter::Bilinear, true);
}

bool cuts(StepKind kind) {
  return kind == StepKind::ResizedCrop || kind == StepKind::Resize || kind == StepKind::CenterCrop;
}

template <class T>
void flip(Picture<T>& picture) {
  for (int y = 0; y < picture.height; y++)
    for (int x = 0; x < picture.width / 2; x++)
      std::swap_ranges(picture.at(y, x), picture.at(y, x) + 3,
                       picture.at(y, picture.width - 1 - x));
}

void box_blur(Picture<uint8_t>& picture, double radius) { box_gaussian_blur(picture, radius); }
void box_blur(Picture<float>&, double) {
  throw Error(Code::Unsupported, "[box_blur] is defined on 8-bit pictures only");
}

template <class T>
void apply_to(Picture<T>& picture, const Step& step) {
  const auto& a = step.arguments;
  if (cuts(step.kind)) {
    picture = cut(view(picture), step);
    return;
  }
  switch (step.kind) {
    case StepKind::Flip:
      return flip(picture);
    case StepKind::Brightness:
      return brightness(picture, a[0]);
    case StepKind::Contrast:
      return contrast(picture, a[0]);
    case StepKind::Saturation:
      return saturation(picture, a[0]);
    case StepKind::Hue:
      return hue(picture, a[0]);
    case StepKind::Grayscale:
      return grayscale(picture);
    case StepKind::BoxBlur:
      return box_blur(picture, a[0]);
    case StepKind::GaussianBlur:
      return gaussian_blur(picture, static_cast<int>(a[0]), a[1]);
    default:
      return solarize(picture, a[0]);
  }
}

template <class T>
void normalise_by(const Picture<T>& picture, const Normalisation& by, double unit, float* to) {
  size_t plane = static_cast<size_t>(picture.width) * picture.height;
  for (size_t c = 0; c < 3; c++) {
    auto [scale, shift] = affine_of(by, c, unit);
    for (size_t i = 0; i < plane; i++)
      to[c * plane + i] = static_cast<float>(picture.pixels[3 * i + c]) * scale + shift;
  }
}

}  // namespace

void apply(Picture<uint8_t>& picture, const Step& step) { apply_to(picture, step); }
void apply(Picture<float>& picture, const Step& step) { apply_to(picture, step); }

Picture<uint8_t> apply_all(PictureView from, const std::vector<Step>& steps) {
  Picture<uint8_t> picture;
  bool first = !steps.empty() && cuts(steps[0].kind);
  if (first) {
    picture = cut(from, steps[0]);
  } else {
    picture = Picture<uint8_t>(from.width, from.height);
    std::copy_n(from.pixels, picture.pixels.size(), picture.pixels.begin());
  }
  for (size_t i = first; i < steps.size(); i++) apply(picture, steps[i]);
  return picture;
}

Affine affine_of(const Normalisation& by, size_t channel, double unit) {
  return {static_cast<float>(unit / by.std[channel]),
          static_cast<float>(-by.mean[channel] / by.std[channel])};
}

void normalise(const Picture<uint8_t>& picture, const Normalisation& by, float* to) {
  normalise_by(picture, by, 1.0 / 255, to);
}

void normalise(const Picture<float>& picture, const Normalisation& by, float* to) {
  normalise_by(picture, by, 1, to);
}

}  // namespace protea::image
