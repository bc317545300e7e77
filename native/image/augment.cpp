#include "augment.h"

#include <algorithm>
#include <cmath>

namespace protea::image {
namespace {

Step resized(Box box, int size) {
  return {
      StepKind::ResizedCrop,
      {static_cast<double>(box.top), static_cast<double>(box.left), static_cast<double>(box.height),
       static_cast<double>(box.width), static_cast<double>(size), static_cast<double>(size), 1, 1}};
}

// Ten tries at an area and an aspect that fit; then the largest centred box of an allowed aspect,
// as torchvision does.
Box random_box(const ViewRecipe& recipe, int height, int width, Philox& random) {
  double area = static_cast<double>(height) * width;
  for (int attempt = 0; attempt < 10; attempt++) {
    double target = area * random.uniform(recipe.scale_low, recipe.scale_high);
    double ratio =
        std::exp(random.uniform(std::log(recipe.ratio_low), std::log(recipe.ratio_high)));
    int w = static_cast<int>(std::nearbyint(std::sqrt(target * ratio)));
    int h = static_cast<int>(std::nearbyint(std::sqrt(target / ratio)));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    int top = static_cast<int>(random.below(static_cast<uint32_t>(height - h + 1)));
    int left = static_cast<int>(random.below(static_cast<uint32_t>(width - w + 1)));
    return {top, left, h, w};
  }
  double ratio =
      std::clamp(static_cast<double>(width) / height, recipe.ratio_low, recipe.ratio_high);
  int w = std::min(width, static_cast<int>(std::nearbyint(height * ratio)));
  int h = std::min(height, static_cast<int>(std::nearbyint(width / ratio)));
  w = std::max(w, 1);
  h = std::max(h, 1);
  return {(height - h) / 2, (width - w) / 2, h, w};
}

double factor(double strength, Philox& random) {
  return random.uniform(std::max(0.0, 1 - strength), 1 + strength);
}

void draw_jitter(const ViewRecipe& recipe, Philox& random, std::vector<Step>& steps) {
  Step changes[4] = {{StepKind::Brightness, {factor(recipe.brightness, random)}},
                     {StepKind::Contrast, {factor(recipe.contrast, random)}},
                     {StepKind::Saturation, {factor(recipe.saturation, random)}},
                     {StepKind::Hue, {random.uniform(-recipe.hue, recipe.hue)}}};
  for (uint32_t i = 3; i > 0; i--) std::swap(changes[i], changes[random.below(i + 1)]);
  steps.insert(steps.end(), changes, changes + 4);
}

}  // namespace

std::vector<Step> draw_steps(const ViewRecipe& recipe, int height, int width, Philox& random) {
  std::vector<Step> steps{resized(random_box(recipe, height, width, random), recipe.size)};
  if (random.chance(recipe.flip)) steps.push_back({StepKind::Flip, {}});
  if (random.chance(recipe.jitter)) draw_jitter(recipe, random, steps);
  if (random.chance(recipe.grayscale)) steps.push_back({StepKind::Grayscale, {}});
  if (random.chance(recipe.blur))
    steps.push_back({StepKind::BoxBlur, {random.uniform(recipe.blur_low, recipe.blur_high)}});
  if (random.chance(recipe.solarize)) steps.push_back({StepKind::Solarize, {128}});
  return steps;
}

}  // namespace protea::image
