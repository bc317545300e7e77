#include "panels.h"

#include <algorithm>

#include "../core/ceil_div.h"
#include "gemm_tiles.h"

namespace protea {
namespace {

// The i-th of `count` equal parts of some bytes, into the L2 cache.
void fetch_part(const void* from, int64_t bytes, int64_t i, int64_t count) {
  constexpr int64_t line = 64;
  int64_t lines = ceil_div(bytes, line);
  for (int64_t l = lines * i / count; l < lines * (i + 1) / count; l++)
    __builtin_prefetch(static_cast<const char*>(from) + l * line, 0, 2);
}

}  // namespace

template <class T>
void pack_panels(Matrix<T> b, int64_t k, int64_t depth, int64_t columns, int64_t first,
                 int64_t last, T* to) {
  const GemmTiles<T>& tiles = gemm_tiles<T>();
  for (int64_t panel = first; panel < last; panel++) {
    int64_t column = panel * tiles.columns;
    tiles.pack_panel(depth, std::min(tiles.columns, columns - column), at(b, k, column), b.stride,
                     b.transpose, to + column * depth);
  }
}

// Blocks of depth one after the other, in each the panels one after the other.
template <class T>
Panels<T>::Panels(Matrix<T> b, int64_t depth, int64_t columns) : depth_(depth), columns_(columns) {
  const GemmTiles<T>& tiles = gemm_tiles<T>();
  panels_ = ceil_div(columns, tiles.columns);
  packed_.resize(panels_ * tiles.columns * depth + GemmTiles<T>::slack);
  T* to = packed_.data();
  for (int64_t k = 0; k < depth; k += block_depth) {
    int64_t deep = std::min(block_depth, depth - k);
    pack_panels(b, k, deep, columns, 0, panels_, to);
    to += panels_ * tiles.columns * deep;
  }
}

template <class T>
void Panels<T>::multiply(int64_t rows, const T* a, int64_t lda, T* c, int64_t ldc, bool accumulate,
                         const T* ahead) const {
  const GemmTiles<T>& tiles = gemm_tiles<T>();
  int64_t strips = ceil_div(rows, tiles.max_rows);
  int64_t steps = ceil_div(depth_, block_depth) * panels_ * strips, step = 0;
  const T* panel = packed_.data();
  for (int64_t k = 0; k < depth_; k += block_depth)
    for (int64_t column = 0; column < columns_; column += tiles.columns) {
      int64_t deep = std::min(block_depth, depth_ - k);
      int64_t width = std::min(tiles.columns, columns_ - column);
      for (int64_t s = 0; s < strips; s++) {
        int64_t first = rows * s / strips, last = rows * (s + 1) / strips;
        if (ahead) fetch_part(ahead, rows * depth_ * sizeof(T), step++, steps);
        tiles.multiply_rows(last - first, deep, width, a + first * lda + k, lda, panel,
                            c + first * ldc + column, ldc, accumulate || k > 0);
      }
      panel += tiles.columns * deep;
    }
}

template void pack_panels<float>(Matrix<float>, int64_t, int64_t, int64_t, int64_t, int64_t,
                                 float*);
template void pack_panels<double>(Matrix<double>, int64_t, int64_t, int64_t, int64_t, int64_t,
                                  double*);
template class Panels<float>;
template class Panels<double>;

}  // namespace protea
