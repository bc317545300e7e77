#include "jpeg.h"

#ifdef PROTEA_JPEG
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE
#include <cstring>

#include <jpeglib.h>
#endif

namespace protea::image {

#ifndef PROTEA_JPEG

bool has_jpeg() { return false; }
std::optional<Picture<uint8_t>> decode_jpeg(const uint8_t*, size_t, int64_t) { return {}; }

#else

bool has_jpeg() { return true; }

namespace {

constexpr int exif_marker = JPEG_APP0 + 1, profile_marker = JPEG_APP0 + 2;

// libjpeg reports errors by a call that must not return; warnings only count.
struct Errors {
  jpeg_error_mgr base;
  std::jmp_buf escape;
};

[[noreturn]] void leave(j_common_ptr info) {
  std::longjmp(reinterpret_cast<Errors*>(info->err)->escape, 1);
}

void keep_quiet(j_common_ptr) {}

bool begins_with(const jpeg_marker_struct& marker, const char* name, size_t length) {
  return marker.data_length >= length && std::memcmp(marker.data, name, length) == 0;
}

// Numbers of a TIFF structure, as EXIF holds them; 0 beyond its end.
struct Tiff {
  const uint8_t* data;
  size_t size;
  bool little;

  uint32_t number(size_t at, size_t bytes) const {
    if (at > size || bytes > size - at) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; i++) value = value << 8 | data[at + (little ? bytes - 1 - i : i)];
    return value;
  }
};

// Whether EXIF asks for the picture to be turned: tag 0x0112 of the first directory is neither
// missing nor 1.
bool is_turned(const jpeg_marker_struct& exif) {
  constexpr size_t name = 6, entry = 12;
  if (exif.data_length < name + 8) return false;
  Tiff tiff{exif.data + name, exif.data_length - name, exif.data[name] == 'I'};
  size_t directory = tiff.number(4, 4);
  for (size_t i = 0, count = tiff.number(directory, 2); i < count; i++) {
    size_t at = directory + 2 + i * entry;
    if (tiff.number(at, 2) == 0x0112) return tiff.number(at + 8, 2) > 1;
  }
  return false;
}

// EXIF may turn the picture and a profile may change its colours; the general decoder knows both.
bool is_plain(const jpeg_decompress_struct& info, int64_t max_pixels) {
  bool known = info.jpeg_color_space == JCS_YCbCr || info.jpeg_color_space == JCS_GRAYSCALE;
  bool fits = int64_t{info.image_width} * info.image_height <= max_pixels;
  if (!known || !fits || info.data_precision != 8) return false;
  for (auto* marker = info.marker_list; marker; marker = marker->next) {
    if (marker->marker == exif_marker && begins_with(*marker, "Exif", 5) && is_turned(*marker))
      return false;
    if (marker->marker == profile_marker && begins_with(*marker, "ICC_PROFILE", 12)) return false;
  }
  return true;
}

// False when the file is not plain or not whole. Nothing here needs a destructor: errors jump out.
bool decode_into(jpeg_decompress_struct& info, Errors& errors, const uint8_t* bytes, size_t size,
                 int64_t max_pixels, Picture<uint8_t>& picture) {
  if (setjmp(errors.escape)) return false;
  jpeg_mem_src(&info, bytes, static_cast<unsigned long>(size));
  jpeg_save_markers(&info, exif_marker, 0xffff);
  jpeg_save_markers(&info, profile_marker, 12);
  if (jpeg_read_header(&info, TRUE) != JPEG_HEADER_OK || !is_plain(info, max_pixels)) return false;
  info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info);
  picture.width = static_cast<int>(info.output_width);
  picture.height = static_cast<int>(info.output_height);
  picture.pixels.resize(size_t{3} * info.output_width * info.output_height);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = picture.at(static_cast<int>(info.output_scanline), 0);
    jpeg_read_scanlines(&info, &row, 1);
  }
  return jpeg_finish_decompress(&info) && errors.base.num_warnings == 0;
}

}  // namespace

std::optional<Picture<uint8_t>> decode_jpeg(const uint8_t* bytes, size_t size, int64_t max_pixels) {
  if (size < 2 || bytes[0] != 0xff || bytes[1] != 0xd8) return {};
  jpeg_decompress_struct info;
  Errors errors;
  info.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = leave;
  errors.base.output_message = keep_quiet;
  jpeg_create_decompress(&info);
  Picture<uint8_t> picture;
  bool whole = decode_into(info, errors, bytes, size, max_pixels, picture);
  jpeg_destroy_decompress(&info);
  if (!whole) return {};
  return picture;
}

#endif

}  // namespace protea::image
