#include "plan.h"

#include <algorithm>
#include <cmath>

#include "../core/error.h"

namespace protea::image {
namespace {

constexpr size_t head = 7;
constexpr double longest_side = 1 << 20, largest_radius = 4096;

struct Range {
  double low, high;
};

// What the argument of a change may be. Throws for steps that cut, which a view has once, and for
// those that are not defined on whole levels alone.
Range range_of(StepKind kind, size_t index) {
  switch (kind) {
    case StepKind::Flip:
    case StepKind::Grayscale:
      return {0, 0};
    case StepKind::Brightness:
    case StepKind::Contrast:
    case StepKind::Saturation:
      return {0, 256};
    case StepKind::Hue:
      return {-0.5, 0.5};
    case StepKind::BoxBlur:
      return {0, largest_radius};
    case StepKind::Solarize:
      return {0, 256};
    default:
      throw Error(Code::Unsupported,
                  "[augment] view " + std::to_string(index) + ": step kind " +
                      std::to_string(static_cast<int>(kind)) +
                      " is no change of a cut view: flip, brightness, contrast, saturation, hue, "
                      "grayscale, box blur or solarize");
  }
}

Step change_of(double kind, double argument, size_t index) {
  check(kind >= 0 && kind <= static_cast<double>(StepKind::Solarize), Code::Unsupported,
        "[augment] view ", index, ": step kind ", kind, " is not known");
  auto known = static_cast<StepKind>(kind);
  Range range = range_of(known, index);
  check(argument >= range.low && argument <= range.high, Code::Shape, "[augment] view ", index,
        ": the argument of step kind ", kind, " must be in [", range.low, ", ", range.high,
        "], got ", argument);
  return {known, {argument}};
}

void check_picture(std::span<const double> n, size_t index, int64_t bytes) {
  bool sized = n[1] >= 1 && n[2] >= 1 && n[1] <= longest_side && n[2] <= longest_side;
  check(sized, Code::Shape, "[augment] view ", index, ": a picture of ", n[1], " x ", n[2],
        " pixels; sides must be in [1, ", longest_side, "]");
  double end = n[0] + 3 * n[1] * n[2];
  check(n[0] >= 0 && end <= static_cast<double>(bytes), Code::Shape, "[augment] view ", index,
        ": its picture is bytes ", n[0], " to ", end, " of pixels, which has ", bytes);
}

void check_box(std::span<const double> n, size_t index) {
  double top = n[3], left = n[4], height = n[5], width = n[6];
  check(top >= 0 && left >= 0 && height >= 1 && width >= 1 && top + height <= n[2] &&
            left + width <= n[1],
        Code::Shape, "[augment] view ", index, ": the box of ", height, " x ", width, " at (", top,
        ", ", left, ") lies outside the picture of ", n[2], " x ", n[1]);
}

}  // namespace

void encode(const ViewPlan& plan, double* to) {
  const auto& cut = plan.steps[0].arguments;
  to[0] = static_cast<double>(plan.offset);
  to[1] = plan.width;
  to[2] = plan.height;
  std::copy_n(cut.begin(), 4, to + 3);
  for (size_t i = 0; i < most_changes; i++) {
    bool has = i + 1 < plan.steps.size();
    to[head + 2 * i] = has ? static_cast<double>(plan.steps[i + 1].kind) : -1;
    to[head + 2 * i + 1] = has ? plan.steps[i + 1].arguments[0] : 0;
  }
}

ViewPlan decode(std::span<const double> numbers, size_t index, int size, int64_t bytes) {
  for (double whole : numbers.first(head))
    check(whole == std::floor(whole), Code::Shape, "[augment] view ", index,
          ": places and sides must be whole numbers, got ", whole);
  check_picture(numbers, index, bytes);
  check_box(numbers, index);
  auto side = static_cast<double>(size);
  Step cut{StepKind::ResizedCrop,
           {numbers[3], numbers[4], numbers[5], numbers[6], side, side, 1, 1}};
  ViewPlan plan{static_cast<int64_t>(numbers[0]),
                static_cast<int>(numbers[1]),
                static_cast<int>(numbers[2]),
                {cut}};
  for (size_t i = head; i < plan_numbers && numbers[i] != -1; i += 2)
    plan.steps.push_back(change_of(numbers[i], numbers[i + 1], index));
  return plan;
}

}  // namespace protea::image
