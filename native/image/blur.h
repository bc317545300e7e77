#pragma once
#include "picture.h"

namespace protea::image {

// Pillow's Gaussian blur: three extended box blurs across, three down, rounded to 8 bits each time
// (Gwosdek et al. 2011, "Theoretical foundations of Gaussian convolution by extended box
// filtering").
void box_gaussian_blur(Picture<uint8_t>& picture, double radius);

// torchvision's: a true Gaussian of `size` (odd) taps, mirrored at the border without repeating it.
void gaussian_blur(Picture<uint8_t>& picture, int size, double sigma);
void gaussian_blur(Picture<float>& picture, int size, double sigma);

}  // namespace protea::image
