#include "blur.h"

#include <algorithm>
#include <cmath>

namespace protea::image {
namespace {

// The radius of the box whose `passes`-fold blur has the variance of the Gaussian. Its intermediate
// values are single-precision, as Pillow's are: the fixed-point weights show it.
float box_radius(float sigma, int passes) {
  float s2 = sigma * sigma / static_cast<float>(passes);
  auto root = static_cast<float>(std::sqrt(12.0 * s2 + 1.0));
  auto l = static_cast<float>(std::floor((root - 1.0) / 2.0));
  float a = (2 * l + 1) * (l * (l + 1) - 3 * s2);
  a /= 6 * (s2 - (l + 1) * (l + 1));
  return l + a;
}

// One channel of one line.
void box_line(int n, const BoxFilter& box, const uint8_t* from, uint8_t* to, size_t stride) {
  int whole = box.whole;
  auto value = [&](int i) -> uint32_t { return from[std::clamp(i, 0, n - 1) * stride]; };
  uint32_t sum = 0;
  for (int i = -whole; i <= whole; i++) sum += value(i);
  for (int i = 0; i < n; i++) {
    uint32_t ends = value(i - whole - 1) + value(i + whole + 1);
    to[i * stride] = box_level(box, sum, ends);
    sum += value(i + whole + 1) - value(i - whole);
  }
}

// `lines` lines of n pixels; pixels of a line are `step` apart, lines `next`, in units of T.
template <class Line>
void each_line(int lines, size_t next, const Line& line) {
  for (int i = 0; i < lines; i++)
    for (int c = 0; c < 3; c++) line(i * next + c);
}

std::vector<double> gaussian(int size, double sigma) {
  std::vector<double> kernel(size);
  double sum = 0;
  for (int i = 0; i < size; i++) {
    double x = (i - (size - 1) / 2.0) / sigma;
    sum += kernel[i] = std::exp(-0.5 * x * x);
  }
  for (double& k : kernel) k /= sum;
  return kernel;
}

int mirrored(int i, int n) {
  if (n == 1) return 0;
  i = std::abs(i) % (2 * n - 2);
  return i < n ? i : 2 * n - 2 - i;
}

void convolve(int n, size_t stride, const std::vector<double>& kernel, std::vector<float>& pixels,
              size_t at) {
  int half = static_cast<int>(kernel.size()) / 2;
  std::vector<double> line(n);
  for (int i = 0; i < n; i++)
    for (int k = -half; k <= half; k++)
      line[i] += kernel[k + half] * pixels[at + mirrored(i + k, n) * stride];
  for (int i = 0; i < n; i++) pixels[at + i * stride] = static_cast<float>(line[i]);
}

}  // namespace

std::optional<BoxFilter> box_filter(double sigma) {
  float radius = box_radius(static_cast<float>(sigma), box_passes);
  if (radius <= 0) return {};
  auto whole = static_cast<int>(radius);
  auto weight = static_cast<uint32_t>((1 << 24) / (radius * 2 + 1));
  uint32_t fraction = ((1u << 24) - static_cast<uint32_t>(whole * 2 + 1) * weight) / 2;
  return BoxFilter{whole, weight, fraction};
}

void box_gaussian_blur(Picture<uint8_t>& picture, double radius) {
  std::optional<BoxFilter> box = box_filter(radius);
  if (!box) return;
  size_t row = size_t{3} * picture.width;
  std::vector<uint8_t> other(picture.pixels.size());
  auto run = [&](int lines, size_t next, int n, size_t step) {
    for (int pass = 0; pass < box_passes; pass++) {
      each_line(lines, next, [&](size_t at) {
        box_line(n, *box, picture.pixels.data() + at, other.data() + at, step);
      });
      picture.pixels.swap(other);
    }
  };
  run(picture.height, row, picture.width, 3);
  run(picture.width, 3, picture.height, row);
}

void gaussian_blur(Picture<float>& picture, int size, double sigma) {
  std::vector<double> kernel = gaussian(size, sigma);
  size_t row = size_t{3} * picture.width;
  each_line(picture.height, row,
            [&](size_t at) { convolve(picture.width, 3, kernel, picture.pixels, at); });
  each_line(picture.width, 3,
            [&](size_t at) { convolve(picture.height, row, kernel, picture.pixels, at); });
}

void gaussian_blur(Picture<uint8_t>& picture, int size, double sigma) {
  Picture<float> values(picture.width, picture.height);
  std::copy(picture.pixels.begin(), picture.pixels.end(), values.pixels.begin());
  gaussian_blur(values, size, sigma);
  for (size_t i = 0; i < values.pixels.size(); i++)
    picture.pixels[i] = static_cast<uint8_t>(std::nearbyint(values.pixels[i]));
}

}  // namespace protea::image
