#pragma once
#include <functional>
#include <string>
#include <vector>

#include "../../core/runtime.h"

namespace protea::test {

// One input of a case: a shape and how its values are drawn.
struct Input {
  Shape shape;
  Dtype dtype = Dtype::F32;
  double low = -1, high = 1;
  bool wanted = true;  // its gradient is compared
  bool given = true;
};

struct Case {
  std::string op;
  std::vector<Input> in;
  std::vector<std::pair<std::string, std::vector<double>>> attrs = {};
  // |gpu - cpu in f64| <= tolerance (largest |value| of the array)
  double tolerance = 2e-6;
  // Arrays whose values are changed in place: compared after forward.
  std::vector<size_t> changed = {};
  // Outputs that need not agree (their length or meaning belongs to a device).
  uint64_t skipped_outputs = 0;
  double least = 1e-30;      // arrays with nothing larger are measured by this
  Dtype truth = Dtype::F64;  // what the CPU computes in; F32 for ops that know nothing else
};

std::vector<Case> agreement_cases();
std::vector<bool (*)()> waiting_checks();

}  // namespace protea::test
