// The cases of the agreement test: odd shapes, optional inputs absent and present.
#include "agreement.h"

namespace protea::test {
namespace {

[[maybe_unused]] Input none() { return {Shape{}, Dtype::F32, 0, 0, false, false}; }
[[maybe_unused]] Input fixed(Shape shape, double low = -1, double high = 1) {
  return {shape, Dtype::F32, low, high, false};
}
Input whole(Shape shape, double high, Dtype dtype = Dtype::I32) {
  return {shape, dtype, 0, high, false};
}

using Cases = std::vector<Case>;

void add_elementwise(Cases& cases) {
  for (int64_t rows : {1, 7, 129})
    for (int64_t D : {1, 64, 100}) {
      Input x{{rows, D}}, positive{{rows, D}, Dtype::F32, 0.01, 2};
      cases.push_back({"identity", {x}});
      cases.push_back({"gelu", {{{rows, D}, Dtype::F32, -4, 4}}, {}, 4e-6});
      cases.push_back({"log", {positive}, {}, 4e-6});
      cases.push_back({"swiglu", {{{rows, 2 * D}, Dtype::F32, -4, 4}}, {}, 4e-6});
      cases.push_back({"dot", {x, x}});
      cases.push_back({"weighted_sum", {x, x, x}, {{"weights", {0.5, -2, 3}}}});
      cases.push_back({"mean_rows", {x}});
    }
  cases.push_back({"weighted_sum", {{Shape{}}}, {{"weights", {-0.25}}}});
  cases.push_back({"dot", {{{70001}}, {{70001}}}});
  cases.push_back({"mean_rows", {{{3001, 33}}}});
}

void add_rows(Cases& cases) {
  for (int64_t B : {1, 7}) {
    cases.push_back({"take_token", {{{B, 5, 12}}}, {{"index", {3}}}});
    cases.push_back({"slice_rows", {{{B + 4, 3, 5}}}, {{"begin", {2}}, {"end", {double(B + 3)}}}});
    cases.push_back({"concat_rows", {{{B, 9}}, {{2, 9}}, {{1, 9}}}});
    cases.push_back({"gather_rows", {{{B, 10}}, whole({13}, double(B))}});
  }
  cases.push_back({"gather_rows", {{{5, 3}}, whole({0}, 5)}});
}

}  // namespace

std::vector<Case> agreement_cases() {
  Cases cases;
  add_elementwise(cases);
  add_rows(cases);
  return cases;
}

}  // namespace protea::test
