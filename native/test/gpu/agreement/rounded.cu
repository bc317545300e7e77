#include <map>

#include "agreement.h"

namespace protea::test {

// Errors grow with logits: at a temperature of 0.05 a cosine's rounding counts 20 times. t-SNE must
// not be rounded.
std::vector<Case> rounded_cases(const std::vector<Case>& exact) {
  const std::map<std::string, double> tolerances = {{"linear", 1e-2},
                                                    {"linear_gelu", 2e-2},
                                                    {"patch_embed", 1e-2},
                                                    {"attention", 2e-2},
                                                    {"prototype_cross_entropy", 5e-2},
                                                    {"prototype_marginal", 5e-2},
                                                    {"prototype_sinkhorn", 5e-2},
                                                    {"tsne", 1e-4}};
  std::vector<Case> cases;
  size_t n = 0;
  for (Case c : exact) {
    auto found = tolerances.find(c.op);
    if (found == tolerances.end()) continue;
    // These have kernels of their own for bf16, and others where they do not fit.
    bool own = c.op.starts_with("prototype_") || c.op == "attention";
    if (!own && n++ % 3) continue;
    c.precision = Precision::BF16;
    c.tolerance = found->second;
    cases.push_back(c);
    c.small_card = true;
    if (c.op == "attention" || (own && c.in[0].shape.dim(-1) > 128)) cases.push_back(c);
  }
  return cases;
}

namespace {

Input half(Shape shape) { return {shape, Dtype::BF16}; }

void add_stored_linear(std::vector<Case>& cases) {
  const int64_t sizes[][3] = {{1, 1, 1}, {7, 64, 104}, {130, 33, 600}, {200, 384, 72}};
  for (auto [B, D, K] : sizes)
    for (const char* name : {"linear", "linear_gelu"})
      for (double rounded : {0, 1}) {
        Input bias = K == 72 ? none() : Input{{K}};
        cases.push_back({name, {half({B, D}), {{K, D}}, bias}, {{"rounded", {rounded}}}, 2e-2});
        if (rounded) cases.push_back({name, {{{B, D}}, {{K, D}}, bias}, {{"rounded", {1}}}, 2e-2});
      }
}

void add_stored_attention(std::vector<Case>& cases) {
  const int64_t sizes[][4] = {{2, 37, 128, 2}, {1, 130, 100, 1}, {1, 197, 64, 1},
                              {2, 7, 24, 2},   {2, 33, 51, 3},   {1, 66, 90, 1}};
  for (auto [B, N, D, heads] : sizes)
    cases.push_back({"attention", {half({B, N, 3 * D})}, {{"heads", {double(heads)}}}, 2e-2});
}

void add_stored_rows(std::vector<Case>& cases) {
  for (int64_t D : {100, 384, 700, 2051, 9001})
    cases.push_back(
        {"layer_norm", {{{7, D}}, {{D}}, {{D}}}, {{"rounded", {1}}, {"eps", {1e-6}}}, 1e-2});
  for (int64_t H : {3, 130, 384}) cases.push_back({"swiglu", {half({7, 2 * H})}, {}, 1e-2});
  Input keep = fixed({4}, 0, 2);
  for (int64_t D : {6, 200}) {
    Input x{{4, 3, D}}, branch = half({4, 3, D});
    cases.push_back({"residual", {x, branch, none(), none()}, {}, 1e-2});
    cases.push_back({"residual", {x, branch, {{D}}, keep}, {{"drop", {0.25}}}, 1e-2});
  }
}

}  // namespace

std::vector<Case> stored_cases() {
  std::vector<Case> cases;
  add_stored_linear(cases);
  add_stored_attention(cases);
  add_stored_rows(cases);
  for (Case& c : cases) c.precision = Precision::BF16;
  for (Case c : std::vector<Case>(cases)) {
    c.small_card = true;
    if (c.op == "attention") cases.push_back(c);
  }
  return cases;
}

}  // namespace protea::test
