#pragma once
// An augmentation is a list of steps; what a step does is defined once, for 8-bit and for float
// pictures.
#include <array>
#include <cstdint>
#include <vector>

#include "resample.h"

namespace protea::image {

enum class StepKind : uint8_t {
  ResizedCrop,  // top, left, height, width, out height, out width, bicubic (0, 1), antialias (0, 1)
  Resize,       // shorter side, bicubic
  CenterCrop,   // side
  Flip,         //
  Brightness,   // factor
  Contrast,     // factor
  Saturation,   // factor
  Hue,          // turn
  Grayscale,    //
  BoxBlur,      // radius (8-bit only)
  GaussianBlur,  // size, sigma
  Solarize,      // threshold, in the units of the picture
};

struct Step {
  StepKind kind;
  std::array<double, 8> arguments{};
};

void apply(Picture<uint8_t>& picture, const Step& step);
void apply(Picture<float>& picture, const Step& step);

// The first step of a list mostly cuts a small crop out of a large picture: this does not copy it.
Picture<uint8_t> apply_all(PictureView from, const std::vector<Step>& steps);

// (v - mean) / std by channel, planes apart: (3, height, width). 8-bit values are divided by 255.
struct Normalisation {
  std::array<double, 3> mean, std;
};

// (v unit - mean) / std as v scale + shift.
struct Affine {
  float scale, shift;
};
Affine affine_of(const Normalisation& by, size_t channel, double unit);

void normalise(const Picture<uint8_t>& picture, const Normalisation& by, float* to);
void normalise(const Picture<float>& picture, const Normalisation& by, float* to);

}  // namespace protea::image
