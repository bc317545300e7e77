#pragma once
#include "../core/op.h"
#include "../image/plan.h"

namespace protea {

// What the kernels of both devices read from the attributes.

inline std::vector<image::ViewPlan> view_plans(const Attrs& attrs, int64_t bytes) {
  std::span<const double> numbers = attrs.list("views");
  auto size = static_cast<int>(attrs.integer("size"));
  std::vector<image::ViewPlan> plans;
  for (size_t v = 0; v * image::plan_numbers < numbers.size(); v++)
    plans.push_back(image::decode(numbers.subspan(v * image::plan_numbers, image::plan_numbers), v,
                                  size, bytes));
  return plans;
}

inline image::Normalisation normalisation_of(const Attrs& attrs) {
  image::Normalisation by{};
  std::copy_n(attrs.list("mean").begin(), 3, by.mean.begin());
  std::copy_n(attrs.list("std").begin(), 3, by.std.begin());
  return by;
}

}  // namespace protea
