#pragma once
#include <cstdint>

#include "isa.h"

namespace protea {

// The tile level of GEMM, for kernels that work on a tile while it is in the cache.
//
// A strip holds `rows` <= max_rows rows of the left operand, stored k by k: strip[k * rows + i], or
// as they lie, row by row: strip[i * stride + k].
// A panel holds `columns` columns of the right operand, padded with zeros: panel[k * columns + j].
// Both buffers need `slack` elements behind their end, which packing a strip may overwrite; packing
// a panel writes the panel alone.
template <class T>
struct GemmTiles {
  int64_t max_rows;
  int64_t columns;
  // From rows x depth stored row by row (`stride` between rows), or transposed: column by column.
  void (*pack_strip)(int64_t rows, int64_t depth, const T* from, int64_t stride, bool transposed,
                     T* strip);
  // From depth x width, width <= columns, stored row by row, or transposed.
  void (*pack_panel)(int64_t depth, int64_t width, const T* from, int64_t stride, bool transposed,
                     T* panel);
  // c (rows, width) = or += strip panel.
  void (*multiply)(int64_t rows, int64_t depth, int64_t width, const T* strip, const T* panel, T* c,
                   int64_t stride, bool accumulate);

  // The same for a strip that was not packed.
  void (*multiply_rows)(int64_t rows, int64_t depth, int64_t width, const T* strip,
                        int64_t strip_stride, const T* panel, T* c, int64_t stride,
                        bool accumulate);

  static constexpr int64_t slack = 64;
};

PROTEA_DECLARE_FAMILY(GemmTiles<float>, gemm_tiles_f32)
PROTEA_DECLARE_FAMILY(GemmTiles<double>, gemm_tiles_f64)

template <class T>
const GemmTiles<T>& gemm_tiles();
template <>
inline const GemmTiles<float>& gemm_tiles<float>() {
  return PROTEA_CHOOSE(gemm_tiles_f32);
}
template <>
inline const GemmTiles<double>& gemm_tiles<double>() {
  return PROTEA_CHOOSE(gemm_tiles_f64);
}

}  // namespace protea
