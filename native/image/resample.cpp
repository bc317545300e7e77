#include "resample.h"

#include "../kernels/pixels.h"

namespace protea::image {
namespace {

// The weights of an output position, in fixed point, for pixels from `first` on.
struct FixedTaps {
  int first;
  std::vector<int32_t> weights;

  void blend(const uint8_t* from, size_t stride, uint8_t* to) const {
    weigh_pixels(weights.data(), static_cast<int>(weights.size()), from + first * stride,
                 static_cast<int64_t>(stride), to);
  }
};

std::vector<FixedTaps> fixed_taps(int in, int out, Filter filter) {
  std::vector<FixedTaps> result;
  for (const std::vector<Tap>& taps : axis_taps(in, out, filter, true)) {
    FixedTaps fixed{static_cast<int>(taps[0].index), {}};
    for (const Tap& tap : taps) fixed.weights.push_back(fixed_weight(tap.weight));
    result.push_back(std::move(fixed));
  }
  return result;
}

}  // namespace

Picture<uint8_t> resized_crop(PictureView from, Box box, int height, int width, Filter filter) {
  auto columns = fixed_taps(box.width, width, filter),
       rows = fixed_taps(box.height, height, filter);
  Picture<uint8_t> across(width, box.height), result(width, height);
  for (int y = 0; y < box.height; y++) {
    const uint8_t* row =
        from.pixels + 3 * (static_cast<size_t>(box.top + y) * from.width + box.left);
    for (int x = 0; x < width; x++) columns[x].blend(row, 3, across.at(y, x));
  }
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      rows[y].blend(across.at(0, x), size_t{3} * width, result.at(y, x));
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
