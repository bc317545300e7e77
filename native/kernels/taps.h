#pragma once
// Which inputs, with which weights, an output position of a resampled axis is made of. Half-pixel
// centres: source coordinate = r (i + 0.5) - 0.5, r = in / (out + offset).
//   Keys 1981, "Cubic convolution interpolation"; the conventions are those of PyTorch and Pillow.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace protea {

struct Tap {
  int64_t index;
  double weight;
};

enum class Filter { Bilinear, Bicubic };

inline double cubic(double x, double a) {
  x = std::fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

inline double triangle(double x) { return std::max(0.0, 1 - std::fabs(x)); }

// Neighbours of a coordinate, clamped to the border; bicubic with a = -0.75.
inline std::vector<Tap> plain_taps(double source, int64_t size, Filter filter) {
  bool bicubic = filter == Filter::Bicubic;
  if (!bicubic) source = std::max(source, 0.0);
  auto base = static_cast<int64_t>(std::floor(source));
  double t = source - static_cast<double>(base);
  std::vector<Tap> taps;
  for (int64_t k = bicubic ? -1 : 0; k <= (bicubic ? 2 : 1); k++) {
    double distance = t - static_cast<double>(k);
    double weight = bicubic ? cubic(distance, -0.75) : triangle(distance);
    taps.push_back({std::clamp<int64_t>(base + k, 0, size - 1), weight});
  }
  return taps;
}

// The filter stretched by max(r, 1), cut at the border and renormalised; bicubic with a = -0.5.
inline std::vector<Tap> antialiased_taps(double centre, double ratio, int64_t size, Filter filter) {
  bool bicubic = filter == Filter::Bicubic;
  double stretch = std::max(ratio, 1.0), support = (bicubic ? 2 : 1) * stretch;
  auto first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
  auto end = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5), size);
  std::vector<Tap> taps;
  double sum = 0;
  for (int64_t j = first; j < end; j++) {
    double distance = (static_cast<double>(j) - centre + 0.5) / stretch;
    taps.push_back({j, bicubic ? cubic(distance, -0.5) : triangle(distance)});
    sum += taps.back().weight;
  }
  for (Tap& tap : taps) tap.weight /= sum;
  return taps;
}

// The taps of every output position of an axis.
inline std::vector<std::vector<Tap>> axis_taps(int64_t in, int64_t out, Filter filter,
                                               bool antialias, double offset = 0) {
  double ratio = static_cast<double>(in) / (static_cast<double>(out) + offset);
  std::vector<std::vector<Tap>> taps;
  for (int64_t i = 0; i < out; i++) {
    double centre = ratio * (static_cast<double>(i) + 0.5);
    taps.push_back(antialias ? antialiased_taps(centre, ratio, in, filter)
                             : plain_taps(centre - 0.5, in, filter));
  }
  return taps;
}

}  // namespace protea
