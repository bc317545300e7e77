#pragma once
#include "../kernels/taps.h"
#include "picture.h"

namespace protea::image {

struct Box {
  int top, left, height, width;
};

// Cuts `box` out of the picture and resamples it to height x width, always antialiased, in whole
// 8-bit steps: rows first, rounded, then columns, with weights in 22-bit fixed point, as Pillow
// does.
Picture<uint8_t> resized_crop(PictureView from, Box box, int height, int width, Filter filter);

// The same in floating point, as torchvision does on tensors: no rounding, no clamping.
Picture<float> resized_crop(const Picture<float>& from, Box box, int height, int width,
                            Filter filter, bool antialias);

}  // namespace protea::image
