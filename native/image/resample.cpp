#include "resample.h"

namespace protea::image {
namespace {

constexpr int fraction_bits = 22;

struct FixedTap {
  int index, weight;
};

std::vector<std::vector<FixedTap>> fixed_taps(int in, int out, Filter filter) {
  std::vector<std::vector<FixedTap>> result;
  for (const std::vector<Tap>& taps : axis_taps(in, out, filter, true)) {
    std::vector<FixedTap> fixed;
    for (const Tap& tap : taps)
      fixed.push_back({static_cast<int>(tap.index),
                       static_cast<int>(std::lround(tap.weight * (1 << fraction_bits)))});
    result.push_back(std::move(fixed));
  }
  return result;
}

uint8_t rounded(int sum) {
  return static_cast<uint8_t>(
      std::clamp((sum + (1 << (fraction_bits - 1))) >> fraction_bits, 0, 255));
}

// One output pixel: from[tap.index * stride + c], c < 3.
void blend(const std::vector<FixedTap>& taps, const uint8_t* from, size_t stride, uint8_t* to) {
  int sum[3] = {};
  for (const FixedTap& tap : taps)
    for (int c = 0; c < 3; c++) sum[c] += tap.weight * from[tap.index * stride + c];
  for (int c = 0; c < 3; c++) to[c] = rounded(sum[c]);
}

}  // namespace

Picture<uint8_t> resized_crop(PictureView from, Box box, int height, int width, Filter filter) {
  auto columns = fixed_taps(box.width, width, filter),
       rows = fixed_taps(box.height, height, filter);
  Picture<uint8_t> across(width, box.height), result(width, height);
  for (int y = 0; y < box.height; y++) {
    const uint8_t* row =
        from.pixels + 3 * (static_cast<size_t>(box.top + y) * from.width + box.left);
    for (int x = 0; x < width; x++) blend(columns[x], row, 3, across.at(y, x));
  }
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      blend(rows[y], across.at(0, x), size_t{3} * width, result.at(y, x));
  return result;
}

Picture<float> resized_crop(const Picture<float>& from, Box box, int height, int width,
                            Filter filter, bool antialias) {
  auto columns = axis_taps(box.width, width, filter, antialias);
  auto rows = axis_taps(box.height, height, filter, antialias);
  Picture<float> across(width, box.height), result(width, height);
  for (int y = 0; y < box.height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < 3; c++) {
        double sum = 0;
        for (const Tap& tap : columns[x])
          sum += tap.weight * from.at(box.top + y, box.left + static_cast<int>(tap.index))[c];
        across.at(y, x)[c] = static_cast<float>(sum);
      }
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < 3; c++) {
        double sum = 0;
        for (const Tap& tap : rows[y])
          sum += tap.weight * across.at(static_cast<int>(tap.index), x)[c];
        result.at(y, x)[c] = static_cast<float>(sum);
      }
  return result;
}

}  // namespace protea::image
