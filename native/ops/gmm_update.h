#pragma once
// What both kernels of gmm_update share. Equations stand in gmm_update.cpp.
#include <cmath>
#include <cstdint>

#include "../kernels/everywhere.h"

namespace protea::gmm {

enum { weights, means, variances, s0, s1, s2, rows_x, responsibilities, guard };

// What the old statistics and the batch's sums of B rows are multiplied by, for a component that is
// given n of them.
struct Rates {
  double keep, take;

  EVERYWHERE Rates(double n, double eta, int64_t B, bool by_responsibility)
      : keep(by_responsibility ? std::pow(1 - eta, n) : 1 - eta),
        take(!by_responsibility ? eta / static_cast<double>(B)
             : n > 0            ? (1 - keep) / eta / n
                                : 0) {}
};

}  // namespace protea::gmm
