#pragma once
// Draws the augmentations of DINO (Caron et al. 2021, section 3 and appendix; BYOL's colour
// changes).
#include "../core/random.h"
#include "steps.h"

namespace protea::image {

// One kind of crop: how it is cut and what is done to it, each with its probability.
struct ViewRecipe {
  int size;                      // pixels of the square crop
  double scale_low, scale_high;  // share of the picture's area
  double ratio_low, ratio_high;  // width over height
  double flip;                   // probability
  double jitter;                 // probability of the four changes of colour together
  double brightness, contrast, saturation, hue;  // their strengths
  double grayscale;                              // probability
  double blur;                                   // probability
  double blur_low, blur_high;                    // radius
  double solarize;                               // probability
};

// Steps of one view of a height x width picture. Draws from `random` in a fixed order, as many
// numbers as the choices need; the stream belongs to this view alone.
std::vector<Step> draw_steps(const ViewRecipe& recipe, int height, int width, Philox& random);

}  // namespace protea::image
