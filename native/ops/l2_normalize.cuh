#pragma once
// The backward step of y = x / max(||x||, eps), row by row.
#include "../cuda/rows.cuh"

namespace protea {

// dx = (dy - y <y, dy>) / ||x||, or dy / eps below it
template <bool whole_block>
__global__ void __launch_bounds__(gpu::row_bound<whole_block>)
    normalize_back_kernel(int64_t rows, int64_t D, const float* y, const float* dy,
                          const float* norms, float eps, float* dx, bool accumulate) {
  gpu::RowTeam<whole_block> team(rows);
  int64_t row = team.row;
  float along = 0, norm = norms[row];
  for (int64_t d = team.index; d < D; d += team.size) along += y[row * D + d] * dy[row * D + d];
  along = team.sum(along);
  if (!team.inside) return;
  if (norm < eps) along = 0;
  float inverse = 1 / (norm < eps ? eps : norm);
  for (int64_t d = team.index; d < D; d += team.size)
    gpu::put(dx, row * D + d, (dy[row * D + d] - along * y[row * D + d]) * inverse, accumulate);
}

}  // namespace protea
