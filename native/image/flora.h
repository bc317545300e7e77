#pragma once
#include "picture.h"

namespace protea::image {

// flora: procedural pictures of flowers, to train on without any data. The class decides the
// number, shape and colour of the petals and of the heart; the sample decides place, size, turn,
// light, background and noise. A pure function of its arguments.
Picture<uint8_t> flora(uint64_t seed, uint32_t label, uint32_t sample, int size);

}  // namespace protea::image
