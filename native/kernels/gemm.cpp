#include "gemm.h"

#include <algorithm>

#include "../core/ceil_div.h"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "elementwise.h"
#include "gemm_tiles.h"
#include "panels.h"

namespace protea {
namespace {

// A block of the left operand (rows x block_depth) stays in the L2 cache while the panels of the
// right one pass by.
constexpr int64_t block_columns = 512, block_rows = 168;
// Threads share pieces of C. A piece should be worth this many operations, and no more are made
// than keep the threads evenly busy or fit the cache.
constexpr int64_t piece_work = 4 << 20, pieces_per_thread = 8;
// Bytes of the right operand that are packed at once, for all pieces.
constexpr int64_t shared_bytes = 4 << 20;
// With so few rows, what is packed is read too seldom to be worth sharing.
constexpr int64_t few_rows = 256;
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

int64_t pieces(int64_t M, int64_t N, int64_t K) {
  int threads = thread_count();
  int64_t most = threads == 1 ? 1 : pieces_per_thread * threads;
  return std::clamp<int64_t>(2 * M * N * K / piece_work, 1, most);
}

// The number of threads may decide here: each number of C is summed along `depth` in the same order
// whatever piece it is in.
Cut cut(int64_t M, int64_t N, int64_t K, int64_t strip, int64_t panel) {
  int64_t wanted_pieces = pieces(M, N, K);
  Cut parts{ceil_div(M, block_rows), ceil_div(N, block_columns)};
  while (parts.rows * parts.columns < wanted_pieces) {
    int64_t rows = M / parts.rows, columns = N / parts.columns;
    if (rows >= 4 * strip)
      parts.rows++;
    else if (columns >= 4 * panel)
      parts.columns++;
    else
      break;
  }
  return parts;
}

// The right operand in panels, `depth` of its rows at a time: blocks of depth one after the other,
// in each all panels.
template <class T>
class Right {
 public:
  Right(Matrix<T> b, int64_t N, int64_t depth)
      : b_(b), N_(N), width_(gemm_tiles<T>().columns), panels_(ceil_div(N, width_)) {
    packed_ = scratch<T>(first_gemm_slot + 1, panels_ * width_ * depth + GemmTiles<T>::slack);
  }

  // Packs the part from `first` to `last`.
  void pack(int64_t first, int64_t last) {
    first_ = first;
    parallel_for(panels_, 8, [&](int64_t begin, int64_t end) {
      for (int64_t k = first; k < last; k += block_depth) {
        int64_t depth = std::min(block_depth, last - k);
        pack_panels(b_, k, depth, N_, begin, end, panels(0, k, depth));
      }
    });
  }

  // Its panels from `column` on, for the block of depth at k.
  T* panels(int64_t column, int64_t k, int64_t depth) const {
    return packed_ + (k - first_) * panels_ * width_ + column * depth;
  }

 private:
  Matrix<T> b_;
  int64_t N_, width_, panels_, first_ = 0;
  T* packed_;
};

template <class T>
class Piece {
 public:
  Piece(const GemmTiles<T>& tiles, Matrix<T> a, const Right<T>& right, T* c, int64_t ldc)
      : tiles_(tiles),
        a_(a),
        right_(right),
        packs_left_(a.transpose || a.stride * static_cast<int64_t>(sizeof(T)) > near_rows),
        c_(c),
        ldc_(ldc) {}

  void run(int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t first, int64_t last,
           bool accumulate) {
    for (int64_t k = first; k < last || k == 0; k += block_depth) {
      int64_t depth = std::min(block_depth, last - k);
      if (packs_left_) pack_left(row, rows, k, depth);
      multiply(row, rows, column, columns, k, depth, accumulate || k > 0);
    }
  }

 private:
  int64_t strips(int64_t rows) const { return ceil_div(rows, tiles_.max_rows); }

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
    const T* panels = right_.panels(column, k, depth);
    for (int64_t begin = 0; begin < columns; begin += tiles_.columns) {
      int64_t width = std::min(tiles_.columns, columns - begin);
      for (int64_t s = 0, count = strips(rows); s < count; s++) {
        int64_t first = rows * s / count, last = rows * (s + 1) / count;
        T* c = c_ + (row + first) * ldc_ + column + begin;
        const T* panel = panels + begin * depth;
        if (packs_left_)
          tiles_.multiply(last - first, depth, width, left_ + first * depth, panel, c, ldc_,
                          accumulate);
        else
          tiles_.multiply_rows(last - first, depth, width, at(a_, row + first, k), a_.stride, panel,
                               c, ldc_, accumulate);
      }
    }
  }

  const GemmTiles<T>& tiles_;
  Matrix<T> a_;
  const Right<T>& right_;
  bool packs_left_;
  T* c_;
  int64_t ldc_;
  T* left_ = nullptr;
};

template <class T>
void finish(int64_t row, int64_t rows, int64_t column, int64_t columns, T* c, int64_t ldc,
            const Epilogue<T>& epilogue) {
  T* gelu = epilogue.gelu ? epilogue.gelu + row * epilogue.gelu_stride + column : nullptr;
  elementwise<T>().bias_gelu(rows, columns, epilogue.bias ? epilogue.bias + column : nullptr,
                             c + row * ldc + column, ldc, gelu, epilogue.gelu_stride);
}

template <class T>
struct Product {
  int64_t M, N, K;
  Matrix<T> a, b;
  T* c;
  int64_t ldc;
  bool accumulate;
  Epilogue<T> epilogue;

  Product columns(int64_t begin, int64_t end) const {
    Product part = *this;
    part.N = end - begin;
    part.b.data = at(b, 0, begin);
    part.c += begin;
    if (epilogue.bias) part.epilogue.bias += begin;
    if (epilogue.gelu) part.epilogue.gelu += begin;
    return part;
  }
};

// The right operand is packed `depth` rows at a time, for all pieces.
template <class T>
void multiply(const Product<T>& p, Cut parts, int64_t depth) {
  const GemmTiles<T>& tiles = gemm_tiles<T>();
  Right<T> right(p.b, p.N, std::min(depth, p.K));
  for (int64_t first = 0; first < p.K || first == 0; first += depth) {
    int64_t last = std::min(p.K, first + depth);
    right.pack(first, last);
    parallel_for(parts.rows * parts.columns, 1, [&](int64_t begin, int64_t end) {
      Piece<T> piece(tiles, p.a, right, p.c, p.ldc);
      for (int64_t i = begin; i < end; i++) {
        int64_t r = i % parts.rows, s = i / parts.rows;
        int64_t row = part(p.M, parts.rows, r, 1), rows = part(p.M, parts.rows, r + 1, 1) - row;
        int64_t column = part(p.N, parts.columns, s, tiles.columns);
        int64_t columns = part(p.N, parts.columns, s + 1, tiles.columns) - column;
        piece.run(row, rows, column, columns, first, last, p.accumulate);
        if (last == p.K && (p.epilogue.bias || p.epilogue.gelu))
          finish(row, rows, column, columns, p.c, p.ldc, p.epilogue);
      }
    });
  }
}

// Each thread packs columns of its own, a block of depth at a time, which then is in its cache.
template <class T>
void multiply_few_rows(const Product<T>& p) {
  int64_t panel = gemm_tiles<T>().columns, parts = pieces(p.M, p.N, p.K);
  int64_t panels = std::clamp<int64_t>(p.N / parts / panel, 4, block_columns / panel);
  Cut rows{ceil_div(p.M, block_rows), 1};
  parallel_for(p.N, panels * panel, [&](int64_t begin, int64_t end) {
    multiply(p.columns(begin, end), rows, block_depth);
  });
}

template <class T>
void multiply_many_rows(const Product<T>& p) {
  const GemmTiles<T>& tiles = gemm_tiles<T>();
  constexpr int64_t numbers = shared_bytes / static_cast<int64_t>(sizeof(T));
  constexpr int64_t widest = numbers / block_depth;
  for (int64_t begin = 0; begin < p.N; begin += widest) {
    Product<T> part = p.columns(begin, std::min(p.N, begin + widest));
    Cut parts = cut(part.M, part.N, part.K, tiles.max_rows, tiles.columns);
    int64_t blocks = widest / (ceil_div(part.N, tiles.columns) * tiles.columns);
    multiply(part, parts, parts.rows > 1 ? blocks * block_depth : block_depth);
  }
}

}  // namespace

template <class T>
void gemm(int64_t M, int64_t N, int64_t K, Matrix<T> a, Matrix<T> b, T* c, int64_t ldc,
          bool accumulate, Epilogue<T> epilogue) {
  if (M == 0 || N == 0) return;
  Product<T> product{M, N, K, a, b, c, ldc, accumulate, epilogue};
  if (M <= few_rows && !a.transpose)
    multiply_few_rows(product);
  else
    multiply_many_rows(product);
}

template void gemm<float>(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float*, int64_t,
                          bool, Epilogue<float>);
template void gemm<double>(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, double*,
                           int64_t, bool, Epilogue<double>);

}  // namespace protea
