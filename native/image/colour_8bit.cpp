// Colour in whole 8-bit steps: kernels/pixels.h, pixel by pixel.
#include <algorithm>

#include "../kernels/pixels.h"
#include "colour.h"

namespace protea::image {
namespace {

template <class Body>
void each_pixel(Picture<uint8_t>& picture, const Body& body) {
  for (size_t i = 0; i < picture.pixels.size(); i += 3) body(picture.pixels.data() + i);
}

}  // namespace

void brightness(Picture<uint8_t>& picture, double factor) {
  for (uint8_t& v : picture.pixels) v = blend(0, v, static_cast<float>(factor));
}

void contrast(Picture<uint8_t>& picture, double factor) {
  int64_t sum = 0;
  each_pixel(picture, [&](uint8_t* p) { sum += luma(p); });
  int mean = mean_level(sum, static_cast<int64_t>(picture.pixels.size() / 3));
  for (uint8_t& v : picture.pixels) v = blend(mean, v, static_cast<float>(factor));
}

void saturation(Picture<uint8_t>& picture, double factor) {
  each_pixel(picture, [&](uint8_t* p) {
    int grey = luma(p);
    for (int c = 0; c < 3; c++) p[c] = blend(grey, p[c], static_cast<float>(factor));
  });
}

void hue(Picture<uint8_t>& picture, double turn) {
  int shift = static_cast<int>(255 * turn);
  each_pixel(picture, [&](uint8_t* p) { turn_hue(p, shift); });
}

void grayscale(Picture<uint8_t>& picture) {
  each_pixel(picture, [](uint8_t* p) { std::fill_n(p, 3, static_cast<uint8_t>(luma(p))); });
}

void solarize(Picture<uint8_t>& picture, double threshold) {
  for (uint8_t& v : picture.pixels)
    if (v >= threshold) v = static_cast<uint8_t>(255 - v);
}

}  // namespace protea::image
