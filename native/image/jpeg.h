#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

#include "picture.h"

namespace protea::image {

// Whether this build has libjpeg-turbo.
bool has_jpeg();

// Decodes an ordinary JPEG file: grey or colour, whole, upright, without a colour profile of its
// own, of at most max_pixels. Nothing for any other input, damaged ones included: those go to the
// general decoder, whose pictures and messages then hold. The pixels are the same either way.
std::optional<Picture<uint8_t>> decode_jpeg(const uint8_t* bytes, size_t size, int64_t max_pixels);

}  // namespace protea::image
