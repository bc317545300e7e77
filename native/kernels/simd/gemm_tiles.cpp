#include "../gemm_tiles.h"

#include "transpose.h"
#include "vec.h"

namespace protea::PROTEA_ISA {
namespace {

// 2 vectors wide; as many rows as leave registers for the two vectors of the panel and a broadcast.
#if defined(__AVX512F__)
constexpr int max_rows = 14;
#else
constexpr int max_rows = 6;
#endif

template <class T>
constexpr int columns = 2 * lanes<T>;

template <class T>
void copy(int64_t n, const T* from, T* to) {
  for (int64_t i = 0; i < n; i++) to[i] = from[i];
}

// strip[k * rows + i] = from[k * stride + i]. Whole vectors where they fit: what is read beyond
// `rows` lies in the next row of `from`, what is written there is overwritten by the next row of
// the strip.
template <class T>
void pack_columns(int64_t rows, int64_t depth, const T* from, int64_t stride, T* strip) {
  int64_t k = 0;
  if (rows <= lanes<T> && stride >= lanes<T>)
    for (; k + 1 < depth; k++) store(strip + k * rows, load(from + k * stride));
  for (; k < depth; k++) copy(rows, from + k * stride, strip + k * rows);
}

template <class T>
void pack_strip(int64_t rows, int64_t depth, const T* from, int64_t stride, bool transposed,
                T* strip) {
  if (transposed)
    pack_columns(rows, depth, from, stride, strip);
  else
    transpose(rows, depth, from, stride, strip, rows);
}

template <class T>
void pack_panel(int64_t depth, int64_t width, const T* from, int64_t stride, bool transposed,
                T* panel) {
  constexpr int n = columns<T>;
  if (width < n)
    for (int64_t i = 0; i < depth * n; i++) panel[i] = 0;
  if (!transposed) {
    if (width == n) {
      for (int64_t k = 0; k < depth; k++) {
        store(panel + k * n, load(from + k * stride));
        store(panel + k * n + lanes<T>, load(from + k * stride + lanes<T>));
      }
    } else {
      for (int64_t k = 0; k < depth; k++) copy(width, from + k * stride, panel + k * n);
    }
    return;
  }
  for (int64_t j = 0; j < width; j += lanes<T>) {
    int64_t part = width - j < lanes<T> ? width - j : lanes<T>;
    transpose_exact(part, depth, from + j * stride, stride, panel + j, int64_t{n});
  }
}

// A strip stored k by k.
template <class T, int Rows>
struct Packed {
  const T* strip;
  T at(int i, int64_t k) const { return strip[k * Rows + i]; }
};

// A strip stored row by row. Three rows share a pointer, so that the addresses of all rows fit into
// few registers.
template <class T, int Rows>
struct Plain {
  const T* triples[(Rows + 2) / 3];
  int64_t stride;

  Plain(const T* strip, int64_t stride) : stride(stride) {
    for (int i = 0; i < (Rows + 2) / 3; i++) triples[i] = strip + 3 * i * stride;
  }
  T at(int i, int64_t k) const { return triples[i / 3][i % 3 * stride + k]; }
};

// c (Rows, width), `Vectors` wide, += or = the strip times as many columns of the panel.
template <class T, int Rows, int Vectors, class Strip>
inline __attribute__((always_inline)) void multiply_tile(int64_t depth, int64_t width,
                                                         const Strip& strip, const T* panel, T* c,
                                                         int64_t stride, bool accumulate) {
  Vec<T> sum[Rows][Vectors] = {};
  for (int64_t k = 0; k < depth; k++) {
    Vec<T> right[Vectors];
    for (int v = 0; v < Vectors; v++) right[v] = load(panel + k * columns<T> + v * lanes<T>);
#pragma GCC unroll 14
    for (int i = 0; i < Rows; i++) {
      T a = strip.at(i, k);
      for (int v = 0; v < Vectors; v++) sum[i][v] += a * right[v];
    }
  }
  if (width == Vectors * lanes<T>) {
#pragma GCC unroll 14
    for (int i = 0; i < Rows; i++)
      for (int v = 0; v < Vectors; v++) {
        T* to = c + i * stride + v * lanes<T>;
        store(to, accumulate ? load(to) + sum[i][v] : sum[i][v]);
      }
    return;
  }
  T edge[Vectors * lanes<T>];
#pragma GCC unroll 14
  for (int i = 0; i < Rows; i++) {
    for (int v = 0; v < Vectors; v++) store(edge + v * lanes<T>, sum[i][v]);
    T* row = c + i * stride;
    for (int64_t j = 0; j < width; j++) row[j] = accumulate ? row[j] + edge[j] : edge[j];
  }
}

// A panel's last columns are often half of it: then the other half, zeros, is left out.
template <class T, int Rows, class Strip>
inline __attribute__((always_inline)) void multiply_strip(int64_t depth, int64_t width,
                                                          const Strip& strip, const T* panel, T* c,
                                                          int64_t stride, bool accumulate) {
  if (width <= lanes<T>)
    multiply_tile<T, Rows, 1>(depth, width, strip, panel, c, stride, accumulate);
  else
    multiply_tile<T, Rows, 2>(depth, width, strip, panel, c, stride, accumulate);
}

template <class T, int Rows = max_rows>
void multiply(int64_t rows, int64_t depth, int64_t width, const T* strip, const T* panel, T* c,
              int64_t stride, bool accumulate) {
  if constexpr (Rows > 1) {
    if (rows < Rows)
      return multiply<T, Rows - 1>(rows, depth, width, strip, panel, c, stride, accumulate);
  }
  multiply_strip<T, Rows>(depth, width, Packed<T, Rows>{strip}, panel, c, stride, accumulate);
}

template <class T, int Rows = max_rows>
void multiply_rows(int64_t rows, int64_t depth, int64_t width, const T* strip, int64_t strip_stride,
                   const T* panel, T* c, int64_t stride, bool accumulate) {
  if constexpr (Rows > 1) {
    if (rows < Rows)
      return multiply_rows<T, Rows - 1>(rows, depth, width, strip, strip_stride, panel, c, stride,
                                        accumulate);
  }
  multiply_strip<T, Rows>(depth, width, Plain<T, Rows>(strip, strip_stride), panel, c, stride,
                          accumulate);
}

template <class T>
constexpr GemmTiles<T> family = {max_rows,      columns<T>,  pack_strip<T>,
                                 pack_panel<T>, multiply<T>, multiply_rows<T>};

}  // namespace

extern const GemmTiles<float> gemm_tiles_f32 = family<float>;
extern const GemmTiles<double> gemm_tiles_f64 = family<double>;

}  // namespace protea::PROTEA_ISA
