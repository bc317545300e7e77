#include "views.h"

#include <algorithm>

namespace protea::image {
namespace {

size_t bytes_of(const PictureView& picture) { return size_t{3} * picture.width * picture.height; }

std::vector<Step> steps_of(const ViewRequest& request, size_t v, size_t b) {
  const PictureView& picture = request.pictures[b];
  uint32_t purpose = purpose::crop | static_cast<uint32_t>(v) << 8;
  Philox random({request.seed, request.epoch, request.samples[b], purpose});
  return draw_steps(request.recipes[v], picture.height, picture.width, random);
}

}  // namespace

void make_views(const ViewRequest& request, const Normalisation& normalisation,
                const std::vector<float*>& to) {
  for (size_t v = 0; v < request.recipes.size(); v++) {
    size_t size = size_t{3} * request.recipes[v].size * request.recipes[v].size;
    for (size_t b = 0; b < request.pictures.size(); b++)
      normalise(apply_all(request.pictures[b], steps_of(request, v, b)), normalisation,
                to[v] + b * size);
  }
}

void draw_views(const ViewRequest& request, uint8_t* pixels, const std::vector<double*>& plans) {
  size_t offset = 0;
  for (size_t b = 0; b < request.pictures.size(); b++) {
    const PictureView& picture = request.pictures[b];
    std::copy_n(picture.pixels, bytes_of(picture), pixels + offset);
    for (size_t v = 0; v < request.recipes.size(); v++)
      encode({static_cast<int64_t>(offset), picture.width, picture.height, steps_of(request, v, b)},
             plans[v] + b * plan_numbers);
    offset += bytes_of(picture);
  }
}

size_t bytes_of(const std::vector<PictureView>& pictures) {
  size_t sum = 0;
  for (const PictureView& picture : pictures) sum += bytes_of(picture);
  return sum;
}

}  // namespace protea::image
