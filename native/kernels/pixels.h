#pragma once
// Arithmetic on RGB bytes, for both devices. The values are Pillow's: everything is a whole number
// or one correctly rounded operation, so a device that does not fuse products with sums
// (-fmad=false) gives the same bytes.
#include <cmath>
#include <cstdint>

#include "everywhere.h"

namespace protea {

// Luma L = (19595 R + 38470 G + 7471 B + 2^15) >> 16 (ITU-R 601-2).
EVERYWHERE inline int luma(const uint8_t* p) {
  return (19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) >> 16;
}

// What contrast blends with: the rounded mean of L.
EVERYWHERE inline int mean_level(int64_t sum, int64_t pixels) {
  return static_cast<int>(static_cast<double>(sum) / static_cast<double>(pixels) + 0.5);
}

// from + factor (to - from), clipped and cut to whole numbers.
EVERYWHERE inline uint8_t blend(int from, int to, float factor) {
  float value = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return static_cast<uint8_t>(value < 0.0f ? 0.0f : value > 255.0f ? 255.0f : value);
}

struct Hsv {
  uint8_t h, s, v;
};

EVERYWHERE inline Hsv to_hsv(const uint8_t* p) {
  int r = p[0], g = p[1], b = p[2];
  int most = r > g ? r : g, least = r < g ? r : g;
  most = most > b ? most : b;
  least = least < b ? least : b;
  if (most == least) return {0, 0, static_cast<uint8_t>(most)};
  float range = static_cast<float>(most - least);
  float rc = static_cast<float>(most - r) / range, gc = static_cast<float>(most - g) / range,
        bc = static_cast<float>(most - b) / range;
  // Where Pillow keeps a single-precision value, so must this: it is cut to whole numbers.
  auto h = static_cast<float>(r == most ? bc - gc : g == most ? 2.0 + rc - bc : 4.0 + gc - rc);
  double turned = h / 6.0 + 1.0;
  h = static_cast<float>(turned - std::floor(turned));
  float s = range / static_cast<float>(most);
  return {static_cast<uint8_t>(h * 255.0), static_cast<uint8_t>(s * 255.0),
          static_cast<uint8_t>(most)};
}

EVERYWHERE inline void set_pixel(uint8_t* to, uint8_t r, uint8_t g, uint8_t b) {
  to[0] = r;
  to[1] = g;
  to[2] = b;
}

EVERYWHERE inline void from_hsv(Hsv c, uint8_t* to) {
  double sixth = c.h * 6.0 / 255.0, v = c.v;
  int i = static_cast<int>(std::floor(sixth));
  auto f = static_cast<float>(sixth - i), s = static_cast<float>(c.s / 255.0);
  auto p = static_cast<uint8_t>(std::lround(v * (1 - s)));
  auto q = static_cast<uint8_t>(std::lround(v * (1 - s * f)));
  auto t = static_cast<uint8_t>(std::lround(v * (1 - s * (1 - f))));
  switch (i % 6) {
    case 0:
      return set_pixel(to, c.v, t, p);
    case 1:
      return set_pixel(to, q, c.v, p);
    case 2:
      return set_pixel(to, p, c.v, t);
    case 3:
      return set_pixel(to, p, q, c.v);
    case 4:
      return set_pixel(to, t, p, c.v);
    default:
      return set_pixel(to, c.v, p, q);
  }
}

// Turns H by shift / 255.
EVERYWHERE inline void turn_hue(uint8_t* p, int shift) {
  Hsv colour = to_hsv(p);
  colour.h = static_cast<uint8_t>(colour.h + shift);
  from_hsv(colour, p);
}

// Resampling weights in 22-bit fixed point.
constexpr int weight_bits = 22;

EVERYWHERE inline int32_t fixed_weight(double weight) {
  return static_cast<int32_t>(std::lround(weight * (1 << weight_bits)));
}

// to_c = sum_k weight_k from_(k, c), rounded and clipped; the pixels are `stride` bytes apart.
EVERYWHERE inline void weigh_pixels(const int32_t* weights, int count, const uint8_t* from,
                                    int64_t stride, uint8_t* to) {
  int sum[3] = {};
  for (int k = 0; k < count; k++)
    for (int c = 0; c < 3; c++) sum[c] += weights[k] * from[k * stride + c];
  for (int c = 0; c < 3; c++) {
    int level = (sum[c] + (1 << (weight_bits - 1))) >> weight_bits;
    to[c] = static_cast<uint8_t>(level < 0 ? 0 : level > 255 ? 255 : level);
  }
}

// An extended box of 2 whole + 1 full pixels and a fraction of one at both ends, in 24-bit fixed
// point (Gwosdek et al. 2011).
struct BoxFilter {
  int whole;
  uint32_t weight, fraction;
};

EVERYWHERE inline uint8_t box_level(const BoxFilter& box, uint32_t sum, uint32_t ends) {
  return static_cast<uint8_t>((sum * box.weight + ends * box.fraction + (1u << 23)) >> 24);
}

}  // namespace protea
