#pragma once
#include "picture.h"

namespace protea::image {

// Changes of colour in place. The 8-bit ones give Pillow's values, the float ones (values in [0,
// 1]) torchvision's on tensors. Factors as in torchvision: 1 leaves the picture as it is.

void brightness(Picture<uint8_t>& picture, double factor);   // blends with black
void contrast(Picture<uint8_t>& picture, double factor);     // with the rounded mean of L
void saturation(Picture<uint8_t>& picture, double factor);   // with L
void hue(Picture<uint8_t>& picture, double turn);            // turns H by turn in [-0.5, 0.5]
void grayscale(Picture<uint8_t>& picture);                   // L three times
void solarize(Picture<uint8_t>& picture, double threshold);  // v < threshold ? v : 255 - v

void brightness(Picture<float>& picture, double factor);
void contrast(Picture<float>& picture, double factor);
void saturation(Picture<float>& picture, double factor);
void hue(Picture<float>& picture, double turn);
void grayscale(Picture<float>& picture);
void solarize(Picture<float>& picture, double threshold);

}  // namespace protea::image
