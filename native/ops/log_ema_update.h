#pragma once
#include <cmath>

#include "../kernels/everywhere.h"

namespace protea {

// log(e^a + e^b)
EVERYWHERE inline double log_add(double a, double b) {
  double top = a > b ? a : b, other = a > b ? b : a;
  return std::isinf(top) ? top : top + std::log1p(std::exp(other - top));
}

}  // namespace protea
