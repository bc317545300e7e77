#pragma once
#include <functional>
#include <string>
#include <vector>

#include "../../../core/runtime.h"

namespace protea::test {

// One input of a case: a shape and how its values are drawn.
struct Input {
  Shape shape;
  Dtype dtype = Dtype::F32;  // BF16: on the GPU; the CPU computes with the same numbers
  double low = -1, high = 1;
  bool wanted = true;  // its gradient is compared
  bool given = true;
};

// One that is left out; one whose gradient is not compared; whole numbers from 0 to below `high`.
inline Input none() { return {Shape{}, Dtype::F32, 0, 0, false, false}; }
inline Input fixed(Shape shape, double low = -1, double high = 1) {
  return {shape, Dtype::F32, low, high, false};
}
inline Input whole(Shape shape, double high, Dtype dtype = Dtype::I32) {
  return {shape, dtype, 0, high, false};
}

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
  Precision precision = Precision::F32;
  bool small_card = false;  // emulated, with as little shared memory as a card of capability 8.6
};

std::vector<Case> agreement_cases();
std::vector<Case> prototype_cases();
std::vector<Case> image_cases();
// What runs on tensor cores once more with operands in bf16, every third case of matrix products.
std::vector<Case> rounded_cases(const std::vector<Case>& exact);
// Products whose operands and results a GPU stores in bf16.
std::vector<Case> stored_cases();
std::string name_of(const Case& c);

using Values = std::vector<double>;
using Results = std::vector<std::pair<std::string, Values>>;

// Everything a case computes, by name. Real numbers are drawn so that f32 holds them.
Results results(Runtime& runtime, const Case& c, Device device, Dtype real);

struct Worst {
  double value = 0;  // relative to the largest number of the array
  size_t at = 0;
};
Worst worst_error(const Case& c, const Values& got, const Values& truth);

std::vector<bool (*)()> waiting_checks();

}  // namespace protea::test
