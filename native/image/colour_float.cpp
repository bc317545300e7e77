// Colour on values in [0, 1]. Grey = 0.2989 R + 0.587 G + 0.114 B.
#include <algorithm>
#include <cmath>

#include "colour.h"

namespace protea::image {
namespace {

double grey(const float* p) { return 0.2989 * p[0] + 0.587 * p[1] + 0.114 * p[2]; }

float clamped(double value) { return static_cast<float>(std::clamp(value, 0.0, 1.0)); }

template <class Body>
void each_pixel(Picture<float>& picture, const Body& body) {
  for (size_t i = 0; i < picture.pixels.size(); i += 3) body(picture.pixels.data() + i);
}

}  // namespace

void brightness(Picture<float>& picture, double factor) {
  for (float& v : picture.pixels) v = clamped(factor * v);
}

void contrast(Picture<float>& picture, double factor) {
  double sum = 0;
  each_pixel(picture, [&](float* p) { sum += grey(p); });
  double mean = 3 * sum / static_cast<double>(picture.pixels.size());
  for (float& v : picture.pixels) v = clamped(factor * v + (1 - factor) * mean);
}

void saturation(Picture<float>& picture, double factor) {
  each_pixel(picture, [&](float* p) {
    double g = grey(p);
    for (int c = 0; c < 3; c++) p[c] = clamped(factor * p[c] + (1 - factor) * g);
  });
}

void hue(Picture<float>& picture, double turn) {
  each_pixel(picture, [&](float* p) {
    double r = p[0], g = p[1], b = p[2], v = std::max({r, g, b}), range = v - std::min({r, g, b});
    if (range == 0) return;
    double h = v == r ? (g - b) / range : v == g ? 2 + (b - r) / range : 4 + (r - g) / range;
    h = h / 6 + turn;
    h = 6 * (h - std::floor(h));
    // Channel n is v - range max(0, min(k, 4 - k, 1)) with k = (n + h) mod 6.
    const double offset[3] = {5, 3, 1};
    for (int c = 0; c < 3; c++) {
      double k = std::fmod(offset[c] + h, 6.0);
      p[c] = clamped(v - range * std::max(0.0, std::min({k, 4 - k, 1.0})));
    }
  });
}

void grayscale(Picture<float>& picture) {
  each_pixel(picture, [](float* p) { std::fill_n(p, 3, static_cast<float>(grey(p))); });
}

void solarize(Picture<float>& picture, double threshold) {
  for (float& v : picture.pixels)
    if (v >= threshold) v = 1 - v;
}

}  // namespace protea::image
