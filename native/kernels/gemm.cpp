#include "gemm.h"

#include <algorithm>

#include "../core/ceil_div.h"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "elementwise.h"
#include "gemm_tiles.h"

namespace protea {
namespace {

// A block of the left operand (rows x depth) and one of the right (depth x columns) share the L2
// cache of 1 MiB.
constexpr int64_t block_depth = 256, block_columns = 512, block_rows = 168;
// Threads share pieces of C. Each packs its own operands, so a piece should be worth this many
// operations, and no more are made than keep the threads evenly busy or fit the cache.
constexpr int64_t piece_work = 4 << 20, pieces_per_thread = 8;
// The left operand is packed when its rows lie further apart than this: rows a page apart share
// sets of the L1 cache.
constexpr int64_t near_rows = 3072;  // bytes

// Cuts `size` into `count` parts that differ by at most one unit: where part `i` begins.
int64_t part(int64_t size, int64_t count, int64_t i, int64_t unit) {
  int64_t units = ceil_div(size, unit);
  return std::min(size, (units * i / count) * unit);
}

struct Cut {
  int64_t rows, columns;  // numbers of parts
};

// The number of threads may decide here: each number of C is summed along `depth` in the same order
// whatever piece it is in.
Cut cut(int64_t M, int64_t N, int64_t K, int64_t strip, int64_t panel) {
  int threads = thread_count();
  int64_t most = threads == 1 ? 1 : pieces_per_thread * threads;
  int64_t wanted_pieces = std::clamp<int64_t>(2 * M * N * K / piece_work, 1, most);
  Cut parts{ceil_div(M, block_rows), ceil_div(N, block_columns)};
  while (parts.rows * parts.columns < wanted_pieces) {
    int64_t rows = M / parts.rows, columns = N / parts.columns;
    if (rows >= columns && rows >= 4 * strip)
      parts.rows++;
    else if (columns >= 4 * panel)
      parts.columns++;
    else if (rows >= 4 * strip)
      parts.rows++;
    else
      break;
  }
  return parts;
}

template <class T>
class Piece {
 public:
  Piece(const GemmTiles<T>& tiles, Matrix<T> a, Matrix<T> b, T* c, int64_t ldc)
      : tiles_(tiles),
        a_(a),
        b_(b),
        packs_left_(a.transpose || a.stride * static_cast<int64_t>(sizeof(T)) > near_rows),
        c_(c),
        ldc_(ldc) {}

  void run(int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t K, bool accumulate) {
    for (int64_t k = 0; k < K || k == 0; k += block_depth) {
      int64_t depth = std::min(block_depth, K - k);
      pack(row, rows, column, columns, k, depth);
      multiply(row, rows, column, columns, k, depth, accumulate || k > 0);
    }
  }

 private:
  int64_t strips(int64_t rows) const { return ceil_div(rows, tiles_.max_rows); }

  void pack(int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t k, int64_t depth) {
    if (packs_left_) pack_left(row, rows, k, depth);
    int64_t panels = ceil_div(columns, tiles_.columns);
    right_ = scratch<T>(first_gemm_slot + 1, panels * tiles_.columns * depth + GemmTiles<T>::slack);
    for (int64_t p = 0; p < panels; p++) {
      int64_t begin = p * tiles_.columns, width = std::min(tiles_.columns, columns - begin);
      tiles_.pack_panel(depth, width, at(b_, k, column + begin), b_.stride, b_.transpose,
                        right_ + begin * depth);
    }
  }

  void pack_left(int64_t row, int64_t rows, int64_t k, int64_t depth) {
    left_ = scratch<T>(first_gemm_slot, rows * depth + GemmTiles<T>::slack);
    for (int64_t s = 0, count = strips(rows); s < count; s++) {
      int64_t begin = rows * s / count, end = rows * (s + 1) / count;
      tiles_.pack_strip(end - begin, depth, at(a_, row + begin, k), a_.stride, a_.transpose,
                        left_ + begin * depth);
    }
  }

  // One panel stays in L1 while the strips pass by.
  void multiply(int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t k,
                int64_t depth, bool accumulate) {
    for (int64_t begin = 0; begin < columns; begin += tiles_.columns) {
      int64_t width = std::min(tiles_.columns, columns - begin);
      for (int64_t s = 0, count = strips(rows); s < count; s++) {
        int64_t first = rows * s / count, last = rows * (s + 1) / count;
        T* c = c_ + (row + first) * ldc_ + column + begin;
        const T* panel = right_ + begin * depth;
        if (packs_left_)
          tiles_.multiply(last - first, depth, width, left_ + first * depth, panel, c, ldc_,
                          accumulate);
        else
          tiles_.multiply_rows(last - first, depth, width, at(a_, row + first, k), a_.stride, panel,
                               c, ldc_, accumulate);
      }
    }
  }

  static const T* at(Matrix<T> m, int64_t row, int64_t column) {
    return m.transpose ? m.data + column * m.stride + row : m.data + row * m.stride + column;
  }

  const GemmTiles<T>& tiles_;
  Matrix<T> a_, b_;
  bool packs_left_;
  T* c_;
  int64_t ldc_;
  T *left_ = nullptr, *right_ = nullptr;
};

template <class T>
void finish(int64_t row, int64_t rows, int64_t column, int64_t columns, T* c, int64_t ldc,
            const Epilogue<T>& epilogue) {
  T* gelu = epilogue.gelu ? epilogue.gelu + row * epilogue.gelu_stride + column : nullptr;
  elementwise<T>().bias_gelu(rows, columns, epilogue.bias ? epilogue.bias + column : nullptr,
                             c + row * ldc + column, ldc, gelu, epilogue.gelu_stride);
}

}  // namespace

template <class T>
void gemm(int64_t M, int64_t N, int64_t K, Matrix<T> a, Matrix<T> b, T* c, int64_t ldc,
          bool accumulate, Epilogue<T> epilogue) {
  if (M == 0 || N == 0) return;
  const GemmTiles<T>& tiles = gemm_tiles<T>();
  Cut parts = cut(M, N, K, tiles.max_rows, tiles.columns);
  parallel_for(parts.rows * parts.columns, 1, [&](int64_t begin, int64_t end) {
    Piece<T> piece(tiles, a, b, c, ldc);
    for (int64_t i = begin; i < end; i++) {
      int64_t r = i % parts.rows, s = i / parts.rows;
      int64_t row = part(M, parts.rows, r, 1), last_row = part(M, parts.rows, r + 1, 1);
      int64_t column = part(N, parts.columns, s, tiles.columns);
      int64_t last_column = part(N, parts.columns, s + 1, tiles.columns);
      piece.run(row, last_row - row, column, last_column - column, K, accumulate);
      if (epilogue.bias || epilogue.gelu)
        finish(row, last_row - row, column, last_column - column, c, ldc, epilogue);
    }
  });
}

template void gemm<float>(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float*, int64_t,
                          bool, Epilogue<float>);
template void gemm<double>(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, double*,
                           int64_t, bool, Epilogue<double>);

}  // namespace protea
