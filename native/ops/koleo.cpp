// koleo: loss = -1/B Σ_i log(d_i + eps), d_i = ||u_i - u_nn(i) + pairwise_eps||_2,
//   u = x / max(||x||_2, norm_eps), nn(i) = argmax_{j != i} <u_i, u_j>, ties to the lowest index
//   (on a GPU similarities above 1 - 2^-22, those of copies, are ties)
//   x (B >= 2, D), attrs eps, norm_eps, pairwise_eps (KoLeo-proto: 0), min_distance m (0: off)
//   -> loss (), nearest (B) i32
//   Below m the logarithm goes on as a parabola of the same value and slope,
//   log(m + eps) + (d^2 - m^2) / (2 m (m + eps)): near copies are pushed apart with a force of at
//   most 1 / (m + eps) instead of one that grows without bound.
//   saves ||x|| (B) and d (B); u is made again where it is needed. The gradient reaches both ends
//   of each pair and passes through the normalisation; at d_i = 0 that of the norm is taken as 0.
//   The search goes over tiles of the upper triangle of u uᵀ, of which only a block of rows is
//   there as u at a time; each tile serves its rows and its columns; nothing of size B x B is made.
//   Sablayrolles et al. 2019, eq. 2; for prototypes Govindarajan et al. 2024, eq. 8
#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "../kernels/panels.h"
#include "../kernels/rows.h"
#include "koleo.h"

namespace protea {
namespace {

enum { loss, nearest, norms, distances };

}  // namespace

Outputs koleo_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1, Code::Shape, "[koleo] takes one x, got ", in.size());
  const Tensor& x = in[0];
  check(x.rank() == 2 && x.dim(0) >= 2 && x.dim(1) > 0 && is_floating(x.dtype), Code::Shape,
        "[koleo] x must be (B >= 2, D) of f32 or f64, got ", x.shape, " of ", name_of(x.dtype));
  check(attrs.number("norm_eps") > 0, Code::Unsupported, "[koleo] norm_eps must be > 0");
  for (const char* name : {"eps", "pairwise_eps", "min_distance"})
    check(attrs.number(name) >= 0, Code::Unsupported, "[koleo] ", name, " must be >= 0");
  Spec per_row{Shape{x.dim(0)}, x.dtype};
  Outputs outputs{{{Shape{}, x.dtype}, {Shape{x.dim(0)}, Dtype::I32}, per_row, per_row}};
  outputs.visible = 2;
  outputs.reads_in = 1;
  outputs.reads_out = 0b1110;
  return outputs;
}

namespace {

constexpr int64_t tile_rows = 256, tile_columns = 128, max_pieces = 32;

// The rows x and what makes directions of them.
template <class T>
struct Points {
  const T* x;  // (B, D)
  int64_t B, D;
  const T* norms;          // (B)
  std::vector<T> lengths;  // (B) max(norm, norm_eps)
  std::vector<T> inverse;  // (B)

  Points(const Run& run, const T* norms)
      : x(run.in[0].as<T>()),
        B(run.in[0].dim(0)),
        D(run.in[0].dim(1)),
        norms(norms),
        lengths(B),
        inverse(B) {
    T eps = static_cast<T>(run.attrs.number("norm_eps"));
    for (int64_t i = 0; i < B; i++) {
      lengths[i] = std::max(norms[i], eps);
      inverse[i] = 1 / lengths[i];
    }
  }

  const T* row(int64_t i) const { return x + i * D; }
  void directions(int64_t begin, int64_t n, T* to) const {
    for (int64_t i = begin; i < begin + n; i++, to += D)
      rows<T>().scaled_copy(D, inverse[i], row(i), to);
  }
  T direction(int64_t i, int64_t d) const { return x[i * D + d] * inverse[i]; }
};

// The most similar other row so far, for every row.
template <class T>
struct Nearest {
  std::vector<T> best;
  std::vector<int32_t> index;

  void start(int64_t B) {
    best.assign(B, -std::numeric_limits<T>::infinity());
    index.assign(B, -1);
  }

  void offer(int64_t i, T similarity, int32_t j) {
    if (similarity > best[i] || (similarity == best[i] && j < index[i])) {
      best[i] = similarity;
      index[i] = j;
    }
  }
};

// Products of rows [column, column + m) with the packed directions of rows [row, row + n), column
// >= row. Of each pair the row is the lower one; the other half was, or will be, met from the other
// side.
template <class T>
void search_tile(const Points<T>& points, int64_t row, int64_t n, const Panels<T>& packed,
                 int64_t column, int64_t m, const T* ahead, Nearest<T>& found) {
  T* tile = scratch<T>(0, tile_rows * tile_columns);
  packed.multiply(m, points.row(column), points.D, tile, tile_rows, false, ahead);
  for (int64_t c = 0; c < m; c++) {
    int64_t j = column + c, count = std::clamp<int64_t>(j - row, 0, n);
    if (count == 0) continue;
    const T* from = tile + c * tile_rows;
    T most = rows<T>().largest(count, from), inverse = points.inverse[j];
    if (most * inverse >= found.best[j]) {
      int64_t i = 0;
      while (i < count && from[i] != most) i++;
      if (i < count) found.offer(j, most * inverse, static_cast<int32_t>(row + i));
    }
    rows<T>().keep_larger(count, inverse, from, static_cast<int32_t>(j), found.best.data() + row,
                          found.index.data() + row);
  }
}

// Row blocks i and blocks - 1 - i go together: the triangle makes their work uneven.
template <class T>
Nearest<T> search(const Points<T>& points) {
  int64_t B = points.B, D = points.D;
  int64_t blocks = ceil_div(B, tile_rows), couples = (blocks + 1) / 2;
  int64_t grain = ceil_div(couples, max_pieces);
  std::vector<Nearest<T>> partial(ceil_div(couples, grain));
  parallel_for(couples, grain, [&](int64_t begin, int64_t end) {
    Nearest<T>& found = partial[begin / grain];
    found.start(B);
    auto search_block = [&](int64_t block) {
      int64_t row = block * tile_rows, n = std::min(tile_rows, B - row);
      T* directions = scratch<T>(1, n * D);
      points.directions(row, n, directions);
      Panels<T> packed({directions, D, true}, D, n);
      for (int64_t column = row; column < B; column += tile_columns) {
        int64_t m = std::min(tile_columns, B - column), next = column + m;
        const T* ahead = next + m <= B ? points.row(next) : nullptr;
        search_tile(points, row, n, packed, column, m, ahead, found);
      }
    };
    for (int64_t i = begin; i < end; i++) {
      search_block(i);
      if (blocks - 1 - i != i) search_block(blocks - 1 - i);
    }
  });
  for (size_t p = 1; p < partial.size(); p++)
    for (int64_t i = 0; i < B; i++) partial[0].offer(i, partial[p].best[i], partial[p].index[i]);
  return std::move(partial[0]);
}

template <class T>
void measure(const Run& run) {
  int64_t D = run.in[0].dim(1);
  parallel_for(run.in[0].dim(0), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const T* from = run.in[0].as<T>() + i * D;
      run.out[norms].as<T>()[i] = std::sqrt(rows<T>().dot(D, from, from));
    }
  });
}

// Copies are as near as each other to any third row, but products in another order round otherwise:
// the first copy stands for all.
template <class T>
void prefer_first_copies(const Points<T>& points, Nearest<T>& found) {
  std::unordered_map<std::string_view, int32_t> first;
  std::vector<int32_t> stands(points.B);
  for (int32_t i = 0; i < points.B; i++) {
    std::string_view bytes(reinterpret_cast<const char*>(points.row(i)), points.D * sizeof(T));
    stands[i] = first.try_emplace(bytes, i).first->second;
  }
  for (int64_t i = 0; i < points.B; i++) {
    int32_t& j = found.index[i];
    if (j >= 0 && stands[j] != i) j = stands[j];
  }
}

template <class T>
void forward_of(const Run& run) {
  measure<T>(run);
  Points<T> points(run, run.out[norms].as<T>());
  Nearest<T> found = search(points);
  prefer_first_copies(points, found);
  Repulsion repulsion(run.attrs);
  int64_t B = points.B, D = points.D;
  double pairwise = run.attrs.number("pairwise_eps"), sum = 0;
  for (int64_t i = 0; i < B; i++) {
    // Rows that are not finite are similar to none; any other index keeps the NaN in the loss.
    int32_t j = found.index[i] < 0 ? (i == 0 ? 1 : 0) : found.index[i];
    double square = 0;
    for (int64_t d = 0; d < D; d++) {
      double difference =
          static_cast<double>(points.direction(i, d)) - points.direction(j, d) + pairwise;
      square += difference * difference;
    }
    double distance = std::sqrt(square);
    run.out[nearest].as<int32_t>()[i] = j;
    run.out[distances].as<T>()[i] = static_cast<T>(distance);
    sum += repulsion.value(distance);
  }
  *run.out[loss].as<T>() = static_cast<T>(-sum / static_cast<double>(B));
}

// du_i += g (u_i - u_nn + pairwise_eps), du_nn -= the same, g = -dloss / B slope(d) / d. Pairs are
// taken in order; threads share the columns.
template <class T>
void back_pairs(const Points<T>& points, const Run& run, T* du) {
  int64_t B = points.B, D = points.D;
  double share = -static_cast<double>(*run.dout[0].as<T>()) / static_cast<double>(B);
  Repulsion repulsion(run.attrs);
  T pairwise = static_cast<T>(run.attrs.number("pairwise_eps"));
  constexpr int64_t columns = 64;
  parallel_for(D, columns, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < B; i++) {
      double distance = run.out[distances].as<T>()[i];
      T g = static_cast<T>(share * repulsion.slope_over_distance(distance));
      if (g == 0) continue;
      int64_t j = run.out[nearest].as<int32_t>()[i];
      T *da = du + i * D, *db = du + j * D;
      for (int64_t d = begin; d < end; d++) {
        T pull = g * (points.direction(i, d) - points.direction(j, d) + pairwise);
        da[d] += pull;
        db[d] -= pull;
      }
    }
  });
}

// dx = (du - u <u, du>) / ||x||, or du / norm_eps below it. du is gathered where dx will stand,
// unless dx already holds something.
template <class T>
void backward_of(const Run& run) {
  const Gradient& dx = run.din[0];
  Points<T> points(run, run.out[norms].as<T>());
  int64_t B = points.B, D = points.D;
  std::vector<T> apart(dx.accumulate ? B * D : 0);
  T* du = dx.accumulate ? apart.data() : dx.as<T>();
  std::fill_n(du, B * D, T(0));
  back_pairs(points, run, du);
  parallel_for(B, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const T* from = du + i * D;
      T inverse = points.inverse[i], *to = dx.as<T>() + i * D;
      bool short_of_eps = points.norms[i] < points.lengths[i];
      T along = short_of_eps ? T(0) : rows<T>().dot(D, points.row(i), from) * inverse;
      for (int64_t d = 0; d < D; d++) {
        T gradient = (from[d] - along * points.direction(i, d)) * inverse;
        to[d] = dx.accumulate ? to[d] + gradient : gradient;
      }
    }
  });
}

void forward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() { forward_of<T>(run); });
}

void backward(const Run& run) {
  if (!run.din[0] || !run.dout[0]) return;
  with_floating(run.in[0].dtype, [&]<class T>() { backward_of<T>(run); });
}

}  // namespace

extern const Kernel koleo_cpu = {forward, backward};

}  // namespace protea
