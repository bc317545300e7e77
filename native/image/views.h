#pragma once
#include "augment.h"

namespace protea::image {

// All views of some pictures, normalised: for view v of sample b the planes of recipe v's size.
// View v draws from the stream (seed, epoch, samples[b], crop, v), so the result depends on nothing
// else.
struct ViewRequest {
  std::vector<PictureView> pictures;
  std::vector<uint32_t> samples;
  std::vector<ViewRecipe> recipes;
  Normalisation normalisation;
  uint64_t seed;
  uint32_t epoch;
};

// `to[v]` receives view v of all samples: (samples, 3, size, size).
void make_views(const ViewRequest& request, const std::vector<float*>& to);

}  // namespace protea::image
