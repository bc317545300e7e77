#pragma once
// Which inputs, with which weights, an output position of a resampled axis is made of. Half-pixel
// centres: source coordinate = r (i + 0.5) - 0.5, r = in / (out + offset).
//   Keys 1981, "Cubic convolution interpolation"; the conventions are those of PyTorch and Pillow.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "everywhere.h"

namespace protea {

struct Tap {
  int64_t index;
  double weight;
};

enum class Filter { Bilinear, Bicubic };

EVERYWHERE inline double cubic(double x, double a) {
  x = std::fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

EVERYWHERE inline double triangle(double x) {
  double height = 1 - std::fabs(x);
  return height > 0 ? height : 0;
}

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

// The filter stretched by max(r, 1) around a coordinate, cut at the border to first <= j < end;
// bicubic with a = -0.5. Weights are to be divided by their sum.
struct Window {
  double centre, stretch;
  int64_t first, end;
  Filter filter;

  EVERYWHERE double weight(int64_t j) const {
    double distance = (static_cast<double>(j) - centre + 0.5) / stretch;
    return filter == Filter::Bicubic ? cubic(distance, -0.5) : triangle(distance);
  }
};

EVERYWHERE inline double stretch_of(double ratio) { return ratio > 1 ? ratio : 1; }

EVERYWHERE inline Window antialiased_window(double centre, double ratio, int64_t size,
                                            Filter filter) {
  double stretch = stretch_of(ratio), support = (filter == Filter::Bicubic ? 2 : 1) * stretch;
  auto first = static_cast<int64_t>(centre - support + 0.5);
  auto end = static_cast<int64_t>(centre + support + 0.5);
  return {centre, stretch, first > 0 ? first : 0, end < size ? end : size, filter};
}

// At most so many taps has an output position of an antialiased bicubic axis.
inline int most_taps(double ratio) {
  return static_cast<int>(std::ceil(4 * stretch_of(ratio))) + 1;
}

inline std::vector<Tap> antialiased_taps(double centre, double ratio, int64_t size, Filter filter) {
  Window window = antialiased_window(centre, ratio, size, filter);
  std::vector<Tap> taps;
  double sum = 0;
  for (int64_t j = window.first; j < window.end; j++) {
    taps.push_back({j, window.weight(j)});
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
