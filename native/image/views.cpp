#include "views.h"

namespace protea::image {

void make_views(const ViewRequest& request, const std::vector<float*>& to) {
  for (size_t v = 0; v < request.recipes.size(); v++) {
    const ViewRecipe& recipe = request.recipes[v];
    size_t size = size_t{3} * recipe.size * recipe.size;
    uint32_t purpose = purpose::crop | static_cast<uint32_t>(v) << 8;
    for (size_t b = 0; b < request.pictures.size(); b++) {
      const PictureView& picture = request.pictures[b];
      Philox random({request.seed, request.epoch, request.samples[b], purpose});
      std::vector<Step> steps = draw_steps(recipe, picture.height, picture.width, random);
      normalise(apply_all(picture, steps), request.normalisation, to[v] + b * size);
    }
  }
}

}  // namespace protea::image
