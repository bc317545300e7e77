// The cases of augment: noise, the hardest picture, through every change; not a level may differ.
#include <algorithm>
#include <array>

#include "../../../image/plan.h"
#include "agreement.h"

namespace protea::test {
namespace {

using image::Step;
using image::StepKind;
using image::ViewPlan;
using Plans = std::vector<ViewPlan>;

Step cut(double top, double left, double height, double width) {
  return {StepKind::ResizedCrop, {top, left, height, width}};
}

// Values are levels: mean 0 and std 1/255.
Case levels_of(int64_t bytes, int size, const Plans& plans) {
  std::vector<double> numbers(plans.size() * image::plan_numbers);
  for (size_t v = 0; v < plans.size(); v++)
    image::encode(plans[v], numbers.data() + v * image::plan_numbers);
  Case c{"augment",
         {{{bytes}, Dtype::U8, 0, 256}},
         {{"size", {double(size)}},
          {"mean", {0, 0, 0}},
          {"std", {1 / 255.0, 1 / 255.0, 1 / 255.0}},
          {"views", numbers}}};
  c.tolerance = 0;
  return c;
}

// Everything at once, the four changes of colour in the order of `order`.
ViewPlan changed(ViewPlan plan, const std::array<int, 4>& order) {
  double n = order[0] + 4 * order[1];
  const Step colours[] = {{StepKind::Brightness, {0.63 + 0.05 * n}},
                          {StepKind::Contrast, {1.39 - 0.04 * n}},
                          {StepKind::Saturation, {0.83 + 0.02 * n}},
                          {StepKind::Hue, {0.097 - 0.012 * n}}};
  plan.steps.push_back({StepKind::Flip, {}});
  for (int i : order) plan.steps.push_back(colours[i]);
  if (order[0] > order[3]) plan.steps.push_back({StepKind::Grayscale, {}});
  plan.steps.push_back({StepKind::BoxBlur, {0.1 + 0.13 * n}});
  plan.steps.push_back({StepKind::Solarize, {128}});
  return plan;
}

// The whole picture, and a box in it, untouched and with all changes.
Case picture(int width, int height, int size) {
  int h = (height + 1) / 2, w = (2 * width + 2) / 3;
  ViewPlan whole{0, width, height, {cut(0, 0, height, width)}};
  ViewPlan part{0, width, height, {cut(height - h, width - w, h, w)}};
  return levels_of(int64_t{3} * width * height, size,
                   {whole, part, changed(whole, {0, 1, 2, 3}), changed(part, {3, 1, 0, 2})});
}

// Every order of the changes of colour, on pictures that lie behind each other.
Case orders() {
  std::array<int, 4> order = {0, 1, 2, 3};
  Plans plans;
  for (int64_t v = 0; std::next_permutation(order.begin(), order.end()); v++)
    plans.push_back(changed({v % 2 * 3 * 13 * 9, 13, 9, {cut(v % 4, v % 5, 5, 8)}}, order));
  return levels_of(2 * 3 * 13 * 9, 7, plans);
}

// Changes in an order that no recipe draws, and blurs from none to wider than the view.
Case odd_changes() {
  Plans plans;
  for (double radius : {0.0, 0.1, 0.7, 2.0, 30.0}) {
    Step blur{StepKind::BoxBlur, {radius}};
    plans.push_back({3,
                     19,
                     11,
                     {cut(1, 2, 9, 15),
                      blur,
                      {StepKind::Contrast, {1.7}},
                      blur,
                      {StepKind::Contrast, {0.3}},
                      {StepKind::Flip, {}},
                      {StepKind::Solarize, {77.5}},
                      {StepKind::Flip, {}},
                      {StepKind::Hue, {-0.5}}}});
  }
  return levels_of(3 + 3 * 19 * 11, 6, plans);
}

}  // namespace

std::vector<Case> image_cases() {
  return {picture(1, 1, 3),   picture(1, 37, 8),     picture(41, 1, 5), picture(23, 17, 40),
          picture(64, 64, 1), picture(500, 375, 24), orders(),          odd_changes(),
          levels_of(3, 4, {})};
}

}  // namespace protea::test
