#pragma once
#include <cmath>

#include "../core/attrs.h"
#include "../kernels/adamw.h"

namespace protea {

// Where the inputs of parameter i stand, behind the guard.
namespace adamw_inputs {
constexpr size_t stride = 5;
enum { param, grad, exp_avg, exp_avg_sq, teacher };

inline size_t slot(size_t i, int which) { return 1 + i * stride + which; }
}  // namespace adamw_inputs

// The constants of parameter i's step, not clipped; see adamw.cpp for the equations.
inline AdamWStep adamw_step(const Attrs& attrs, size_t i) {
  double lr = attrs.list("lr")[i], count = attrs.list("step")[i];
  double b1 = attrs.number("beta1"), b2 = attrs.number("beta2");
  auto f = [](double value) { return static_cast<float>(value); };
  return {.decay = f(1 - lr * attrs.list("weight_decay")[i]),
          .new1 = f(1 - b1),
          .beta2 = f(b2),
          .new2 = f(1 - b2),
          .rate = f(lr / (1 - std::pow(b1, count))),
          .root = f(1 / std::sqrt(1 - std::pow(b2, count))),
          .eps = f(attrs.number("eps")),
          .clip = 1};
}

}  // namespace protea
