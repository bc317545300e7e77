// Colour in whole 8-bit steps. Luma L = (19595 R + 38470 G + 7471 B + 2^15) >> 16 (ITU-R 601-2).
#include <algorithm>
#include <cmath>

#include "colour.h"

namespace protea::image {
namespace {

uint8_t luma(const uint8_t* p) {
  return static_cast<uint8_t>((19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) >> 16);
}

// from + factor (to - from), clipped and cut to whole numbers.
uint8_t blend(int from, int to, float factor) {
  float value = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return static_cast<uint8_t>(std::clamp(value, 0.0f, 255.0f));
}

template <class Body>
void each_pixel(Picture<uint8_t>& picture, const Body& body) {
  for (size_t i = 0; i < picture.pixels.size(); i += 3) body(picture.pixels.data() + i);
}

struct Hsv {
  uint8_t h, s, v;
};

Hsv to_hsv(const uint8_t* p) {
  int r = p[0], g = p[1], b = p[2], most = std::max({r, g, b}), least = std::min({r, g, b});
  if (most == least) return {0, 0, static_cast<uint8_t>(most)};
  float range = static_cast<float>(most - least);
  float rc = static_cast<float>(most - r) / range, gc = static_cast<float>(most - g) / range,
        bc = static_cast<float>(most - b) / range;
  // Where Pillow keeps a single-precision value, so must this: it is cut to whole numbers.
  auto h = static_cast<float>(r == most ? bc - gc : g == most ? 2.0 + rc - bc : 4.0 + gc - rc);
  h = static_cast<float>(std::fmod(h / 6.0 + 1.0, 1.0));
  float s = range / static_cast<float>(most);
  return {static_cast<uint8_t>(h * 255.0), static_cast<uint8_t>(s * 255.0),
          static_cast<uint8_t>(most)};
}

void from_hsv(Hsv c, uint8_t* to) {
  double sixth = c.h * 6.0 / 255.0, v = c.v;
  int i = static_cast<int>(std::floor(sixth));
  auto f = static_cast<float>(sixth - i), s = static_cast<float>(c.s / 255.0);
  auto p = static_cast<uint8_t>(std::lround(v * (1 - s)));
  auto q = static_cast<uint8_t>(std::lround(v * (1 - s * f)));
  auto t = static_cast<uint8_t>(std::lround(v * (1 - s * (1 - f))));
  const uint8_t table[6][3] = {{c.v, t, p}, {q, c.v, p}, {p, c.v, t},
                               {p, q, c.v}, {t, p, c.v}, {c.v, p, q}};
  std::copy_n(table[i % 6], 3, to);
}

}  // namespace

void brightness(Picture<uint8_t>& picture, double factor) {
  for (uint8_t& v : picture.pixels) v = blend(0, v, static_cast<float>(factor));
}

void contrast(Picture<uint8_t>& picture, double factor) {
  int64_t sum = 0;
  each_pixel(picture, [&](uint8_t* p) { sum += luma(p); });
  double pixels = static_cast<double>(picture.pixels.size()) / 3;
  int mean = static_cast<int>(static_cast<double>(sum) / pixels + 0.5);
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
  each_pixel(picture, [&](uint8_t* p) {
    Hsv colour = to_hsv(p);
    colour.h = static_cast<uint8_t>(colour.h + shift);
    from_hsv(colour, p);
  });
}

void grayscale(Picture<uint8_t>& picture) {
  each_pixel(picture, [](uint8_t* p) { std::fill_n(p, 3, luma(p)); });
}

void solarize(Picture<uint8_t>& picture, double threshold) {
  for (uint8_t& v : picture.pixels)
    if (v >= threshold) v = static_cast<uint8_t>(255 - v);
}

}  // namespace protea::image
