#pragma once
#include "rows.cuh"

namespace protea::gpu {

// u = x / max(||x||, eps), the norm taken in double and kept where `norm` or `inverse_norm` is
// given.
template <bool whole_block>
__global__ void normalise_kernel(int64_t rows, int64_t D, const float* x, double eps, float* u,
                                 float* norm, double* inverse_norm) {
  RowTeam<whole_block> team;
  bool inside = team.row < rows;
  const float* from = x + (inside ? team.row : 0) * D;
  double square = 0;
  for (int64_t d = team.index; d < D; d += team.size)
    square += static_cast<double>(from[d]) * from[d];
  double length = sqrt(team.sum(square)), inverse = 1 / (length < eps ? eps : length);
  if (!inside) return;
  for (int64_t d = team.index; d < D; d += team.size)
    u[team.row * D + d] = static_cast<float>(from[d] * inverse);
  if (norm && team.index == 0) norm[team.row] = static_cast<float>(length);
  if (inverse_norm && team.index == 0) inverse_norm[team.row] = inverse;
}

}  // namespace protea::gpu
