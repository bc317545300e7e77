#pragma once
// Changes of one view's levels by one block; see augment.cpp. Loops give a pixel to the same thread
// each time, so only what reads other pixels waits for them.
#include "../cuda/block.cuh"
#include "../image/steps.h"
#include "../kernels/pixels.h"

namespace protea::augmentation {

// factor: of a blend; level: a turn of H in levels, or the threshold of solarize.
struct Change {
  image::StepKind kind;
  float factor;
  int level;
  BoxFilter box;
};

// The view's levels, (side, side, 3), and as many bytes to blur into.
struct Canvas {
  uint8_t *levels, *other;
  int side;

  GPU_DEVICE int pixels() const { return side * side; }
  GPU_DEVICE uint8_t* at(int pixel) const { return levels + int64_t{3} * pixel; }
};

GPU_DEVICE void fill_levels(uint8_t* p, int level) {
  set_pixel(p, static_cast<uint8_t>(level), static_cast<uint8_t>(level),
            static_cast<uint8_t>(level));
}

// Every change that needs no other pixel; `mean` is that of the view's luma before contrast.
GPU_DEVICE void change_pixel(const Change& change, int mean, uint8_t* p) {
  int grey = luma(p);
  switch (change.kind) {
    case image::StepKind::Brightness:
      for (int c = 0; c < 3; c++) p[c] = blend(0, p[c], change.factor);
      break;
    case image::StepKind::Contrast:
      for (int c = 0; c < 3; c++) p[c] = blend(mean, p[c], change.factor);
      break;
    case image::StepKind::Saturation:
      for (int c = 0; c < 3; c++) p[c] = blend(grey, p[c], change.factor);
      break;
    case image::StepKind::Hue:
      turn_hue(p, change.level);
      break;
    case image::StepKind::Grayscale:
      fill_levels(p, grey);
      break;
    default:  // solarize
      for (int c = 0; c < 3; c++)
        if (p[c] >= change.level) p[c] = static_cast<uint8_t>(255 - p[c]);
  }
}

GPU_DEVICE int mean_luma(const Canvas& canvas) {
  int64_t sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < canvas.pixels();
       i += static_cast<int>(blockDim.x))
    sum += luma(canvas.at(i));
  return mean_level(gpu::block_sum(sum), canvas.pixels());
}

// Level `at` of a line of n levels `step` apart, averaged over the box; the border is repeated.
GPU_DEVICE uint8_t box_average(const BoxFilter& box, const uint8_t* line, int n, int64_t step,
                               int at) {
  auto level = [&](int i) -> uint32_t { return line[(i < 0 ? 0 : i < n ? i : n - 1) * step]; };
  uint32_t sum = 0;
  for (int i = at - box.whole; i <= at + box.whole; i++) sum += level(i);
  return box_level(box, sum, level(at - box.whole - 1) + level(at + box.whole + 1));
}

// One pass, from levels to other, which change places. The barrier: all levels are there.
GPU_DEVICE void box_pass(const BoxFilter& box, bool down, Canvas& canvas) {
  __syncthreads();
  int side = canvas.side;
  for (int i = static_cast<int>(threadIdx.x); i < canvas.pixels();
       i += static_cast<int>(blockDim.x)) {
    int y = i / side, x = i % side;
    const uint8_t* line = canvas.at(down ? x : y * side);
    uint8_t* to = canvas.other + int64_t{3} * i;
    for (int c = 0; c < 3; c++)
      to[c] = box_average(box, line + c, side, down ? int64_t{3} * side : 3, down ? y : x);
  }
  uint8_t* levels = canvas.levels;
  canvas.levels = canvas.other;
  canvas.other = levels;
}

// Changes begin ... end: contrast only as the first of them, no blur.
GPU_DEVICE void change_pixels(const Change* changes, int begin, int end, const Canvas& canvas) {
  bool needs_mean = changes[begin].kind == image::StepKind::Contrast;
  int mean = needs_mean ? mean_luma(canvas) : 0;
  for (int i = static_cast<int>(threadIdx.x); i < canvas.pixels();
       i += static_cast<int>(blockDim.x)) {
    uint8_t* at = canvas.at(i);
    uint8_t p[3] = {at[0], at[1], at[2]};  // in registers
    for (int k = begin; k < end; k++) change_pixel(changes[k], mean, p);
    set_pixel(at, p[0], p[1], p[2]);
  }
}

// All changes in order; those that follow each other without looking around share a sweep.
GPU_DEVICE void change_all(const Change* changes, int count, Canvas& canvas) {
  for (int i = 0; i < count;) {
    if (changes[i].kind == image::StepKind::BoxBlur) {
      for (int pass = 0; pass < 6; pass++) box_pass(changes[i].box, pass >= 3, canvas);
      i++;
      continue;
    }
    int end = i + 1;
    while (end < count && changes[end].kind != image::StepKind::BoxBlur &&
           changes[end].kind != image::StepKind::Contrast)
      end++;
    change_pixels(changes, i, end, canvas);
    i = end;
  }
}

}  // namespace protea::augmentation
