#pragma once
// One view as numbers, so that it can be drawn here and made elsewhere.
#include <span>

#include "steps.h"

namespace protea::image {

// Where the view's picture lies among the bytes of all pictures, and what is done to it. The first
// step cuts a square by bicubic resampling; the others change no size.
struct ViewPlan {
  int64_t offset;
  int width, height;
  std::vector<Step> steps;
};

// offset, width, height; top, left, height, width of the box; then kind and argument of each change
// in order, kind -1 for none.
constexpr size_t most_changes = 8;
constexpr size_t plan_numbers = 7 + 2 * most_changes;

void encode(const ViewPlan& plan, double* to);

// The plan of view `index`, to be made with `size` pixels of side from `bytes` bytes of pictures.
// Throws Code::Shape or Code::Unsupported naming the view.
ViewPlan decode(std::span<const double> numbers, size_t index, int size, int64_t bytes);

}  // namespace protea::image
