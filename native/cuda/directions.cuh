#pragma once
#include "rows.cuh"
#include "tile.cuh"

namespace protea::gpu {

// Rows of a stored matrix over their lengths, of which only the inverse is kept. Outside it is 0.
struct Directions {
  const float *data, *inverse;
  int64_t rows, depth;
  static constexpr int64_t row = 0, along = 1;
  GPU_DEVICE float at(int64_t i, int64_t k) const {
    return i < rows && k < depth ? data[i * depth + k] * inverse[i] : 0;
  }
  bool in_fours() const { return View{data, rows, depth, depth, 1}.in_fours(); }
  GPU_DEVICE float4 four(int64_t i, int64_t k) const {
    float4 x = View{data, rows, depth, depth, 1}.four(i, k);
    float scale = i < rows ? inverse[i] : 0;
    return make_float4(x.x * scale, x.y * scale, x.z * scale, x.w * scale);
  }
};

// The length of each row, taken in double, and 1 / max(length, eps); those that are not null.
template <bool whole_block>
__global__ void __launch_bounds__(row_bound<whole_block>)
    lengths_kernel(int64_t rows, int64_t D, const float* x, double eps, float* length,
                   float* inverse, double* exact_inverse) {
  RowTeam<whole_block> team(rows);
  const float* from = x + team.row * D;
  double square = 0;
  for (int64_t d = team.index; d < D; d += team.size)
    square += static_cast<double>(from[d]) * from[d];
  double found = sqrt(team.sum(square)), inverted = 1 / (found < eps ? eps : found);
  if (!team.inside || team.index > 0) return;
  if (length) length[team.row] = static_cast<float>(found);
  if (inverse) inverse[team.row] = static_cast<float>(inverted);
  if (exact_inverse) exact_inverse[team.row] = inverted;
}

}  // namespace protea::gpu
