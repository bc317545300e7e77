#pragma once
// What both kernels of KoLeo share: the term of one distance. Equations stand in koleo.cpp.
#include <cmath>

#include "../core/attrs.h"
#include "../kernels/everywhere.h"

namespace protea {

// The term of a distance, and its slope divided by the distance (0 at 0, as is that of the norm).
// What is no number stays none.
struct Repulsion {
  double eps, least;

  explicit Repulsion(const Attrs& attrs)
      : eps(attrs.number("eps")), least(attrs.number("min_distance")) {}

  EVERYWHERE double value(double d) const {
    if (!(d < least)) return std::log(d + eps);
    return std::log(least + eps) + (d * d - least * least) / (2 * least * (least + eps));
  }

  EVERYWHERE double slope_over_distance(double d) const {
    if (d < least) return 1 / (least * (least + eps));
    return d > 0 ? 1 / ((d + eps) * d) : 0;
  }
};

}  // namespace protea
