#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace protea::image {

// RGB, row by row, channels together: (height, width, 3). uint8_t as Pillow has it, or float in
// [0, 1] as torchvision has it on tensors.
template <class T>
struct Picture {
  int width = 0, height = 0;
  std::vector<T> pixels;

  Picture() = default;
  Picture(int width, int height)
      : width(width), height(height), pixels(size_t{3} * width * height) {}

  T* at(int y, int x) { return pixels.data() + 3 * (static_cast<size_t>(y) * width + x); }
  const T* at(int y, int x) const {
    return pixels.data() + 3 * (static_cast<size_t>(y) * width + x);
  }
};

// A picture someone else owns.
struct PictureView {
  const uint8_t* pixels;
  int width, height;
};

}  // namespace protea::image
