#pragma once
#include "augment.h"
#include "plan.h"

namespace protea::image {

// All views of some pictures. View v draws from the stream (seed, epoch, samples[b], crop, v), so
// the result depends on nothing else.
struct ViewRequest {
  std::vector<PictureView> pictures;
  std::vector<uint32_t> samples;
  std::vector<ViewRecipe> recipes;
  uint64_t seed;
  uint32_t epoch;
};

// `to[v]` receives view v of all samples: (samples, 3, size, size).
void make_views(const ViewRequest& request, const Normalisation& normalisation,
                const std::vector<float*>& to);

// The same views drawn and not made. `pixels` receives the pictures one after another, `plans[v]`
// view v of all samples: (samples, plan_numbers), see plan.h.
void draw_views(const ViewRequest& request, uint8_t* pixels, const std::vector<double*>& plans);
size_t bytes_of(const std::vector<PictureView>& pictures);

}  // namespace protea::image
