#pragma once
#include <optional>

#include "../kernels/pixels.h"
#include "picture.h"

namespace protea::image {

// The box whose three-fold blur has the standard deviation sigma; none when nothing is to be done.
constexpr int box_passes = 3;
std::optional<BoxFilter> box_filter(double sigma);

// Pillow's Gaussian blur: three extended box blurs across, three down, rounded to 8 bits each time
// (Gwosdek et al. 2011, "Theoretical foundations of Gaussian convolution by extended box
// filtering").
void box_gaussian_blur(Picture<uint8_t>& picture, double radius);

// torchvision's: a true Gaussian of `size` (odd) taps, mirrored at the border without repeating it.
void gaussian_blur(Picture<uint8_t>& picture, int size, double sigma);
void gaussian_blur(Picture<float>& picture, int size, double sigma);

}  // namespace protea::image
