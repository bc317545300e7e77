// The cases of the agreement test: odd shapes, optional inputs absent and present.
#include <array>
#include <cmath>

#include "agreement.h"

namespace protea::test {
namespace {

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
  for (double limit : {0.5, 1e6})
    cases.push_back({"limit_gradient", {{{20001}}}, {{"limit", {limit}}}});
  // Several elements a thread on every card, and pieces of rows with and without an end.
  cases.push_back({"identity", {{{200003}}}});
  cases.push_back({"swiglu", {{{5, 2 * 130}, Dtype::F32, -4, 4}}, {}, 4e-6});
  cases.push_back({"weighted_sum", {{Shape{}}}, {{"weights", {-0.25}}}});
  cases.push_back({"dot", {{{70001}}, {{70001}}}});
  cases.push_back({"mean_rows", {{{3001, 33}}}});
  cases.push_back({"mean_rows", {{{9001, 3}}}});  // more partial sums than warps to join them
}

void add_rows(Cases& cases) {
  for (int64_t B : {1, 7}) {
    cases.push_back({"take_token", {{{B, 5, 12}}}, {{"index", {3}}}});
    cases.push_back({"slice_rows", {{{B + 4, 3, 5}}}, {{"begin", {2}}, {"end", {double(B + 3)}}}});
    cases.push_back({"concat_rows", {{{B, 9}}, {{2, 9}}, {{1, 9}}}});
    cases.push_back({"gather_rows", {{{B, 10}}, whole({13}, double(B))}});
  }
  cases.push_back({"gather_rows", {{{5, 3}}, whole({0}, 5)}});
  // More takers of a row than are remembered, and more columns than a warp holds.
  cases.push_back({"gather_rows", {{{3, 530}}, whole({70}, 3)}});
}

// Rows held in many registers, read again and again by a warp, and worked on by the largest block;
// and NaN, which must come through.
void add_row_sizes(Cases& cases) {
  for (int64_t D : {700, 1030, 9001})
    cases.push_back({"layer_norm", {{{3, D}}, {{D}}, {{D}}}, {{"eps", {1e-6}}}, 4e-6});
  Input x{{2, 9001}}, nan{{2, 40}, Dtype::F32, INFINITY, INFINITY};
  cases.push_back({"l2_normalize", {x}, {{"eps", {1e-12}}}});
  cases.push_back({"weight_norm", {x, none()}});
  for (const Input& logits : {x, nan}) {
    for (double log : {0, 1})
      cases.push_back({"softmax", {logits}, {{"temperature", {0.3}}, {"log", {log}}}, 4e-6});
    Input target = fixed(logits.shape, 0, 1);
    cases.push_back({"soft_cross_entropy", {logits, target}, {{"temperature", {0.3}}}, 4e-6});
  }
}

void add_layers(Cases& cases) {
  for (int64_t rows : {1, 7, 129})
    for (int64_t D : {64, 100, 384, 2051}) {
      if (rows == 129 && D == 2051) continue;
      Input x{{rows, D}}, scale{{D}};
      cases.push_back({"layer_norm", {x, scale, scale}, {{"eps", {1e-6}}}, 4e-6});
      cases.push_back({"l2_normalize", {x}, {{"eps", {1e-12}}}});
      cases.push_back({"weight_norm", {x, {{rows, 1}}}, {}, 4e-6});
      cases.push_back({"weight_norm", {x, none()}});
      for (double log : {0, 1})
        cases.push_back({"softmax", {x}, {{"temperature", {0.3}}, {"log", {log}}}, 4e-6});
      Input target = fixed({rows, D}, 0, 1);
      cases.push_back({"soft_cross_entropy", {x, target}, {{"temperature", {0.3}}}, 4e-6});
    }
  add_row_sizes(cases);
  // Of two rows the gradient all but cancels.
  for (int64_t rows : {2, 7, 129, 643})
    for (int64_t D : {1, 33, 100})
      cases.push_back({"batch_norm",
                       {{{rows, D}}, {{D}}, {{D}}},
                       {{"eps", {1e-3}}},
                       4e-6,
                       {},
                       0,
                       rows == 2 ? 1 : 1e-30});
  Input keep = fixed({4}, 0, 2);
  for (int64_t D : {6, 200}) {
    Input x{{4, 3, D}};
    cases.push_back({"residual", {x, x, none(), none()}});
    cases.push_back({"residual", {x, x, {{D}}, none()}});
    cases.push_back({"residual", {x, x, {{D}}, keep}, {{"drop", {0.25}}}});
    cases.push_back({"residual", {x, x, none(), keep}, {{"drop", {0.25}}}});
  }
  cases.push_back({"add_noise", {{{5, 7}}}, {{"scale", {2}}, {"seed", {5e9}}, {"epoch", {3}}}});
}

void add_tokens(Cases& cases) {
  Input mask = whole({3, 4}, 2, Dtype::U8);
  for (int64_t D : {6, 150}) {
    Input patches{{3, 4, D}}, cls{{1, 1, D}}, position{{1, 5, D}}, registers{{1, 2, D}};
    cases.push_back({"embed_tokens", {patches, cls, position, none(), none(), none()}});
    cases.push_back({"embed_tokens", {patches, cls, position, registers, mask, {{1, D}}}});
  }
  cases.push_back({"patch_embed", {{{2, 3, 9, 13}}, {{10, 3, 4, 4}}, {{10}}}, {}, 4e-6});
  cases.push_back({"patch_embed", {{{1, 3, 32, 32}}, {{64, 3, 8, 8}}, none()}, {}, 4e-6});
}

void add_linear(Cases& cases) {
  const int64_t sizes[][3] = {{1, 1, 1},      {7, 64, 100},   {129, 100, 64},
                              {200, 384, 70}, {3, 1030, 257}, {130, 33, 600}};
  for (auto [B, D, K] : sizes)
    for (const char* name : {"linear", "linear_gelu"}) {
      cases.push_back({name, {{{B, D}}, {{K, D}}, {{K}}}, {}, 4e-6});
      cases.push_back({name, {{{B, D}}, {{K, D}}, none()}, {}, 4e-6});
    }
}

void add_attention(Cases& cases) {
  const int64_t sizes[][4] = {{1, 1, 8, 1},    {2, 7, 24, 2},    {1, 65, 64, 1},
                              {2, 37, 128, 2}, {1, 130, 100, 1}, {1, 64, 384, 3}};
  for (auto [B, N, D, heads] : sizes)
    cases.push_back({"attention", {{{B, N, 3 * D}}}, {{"heads", {double(heads)}}}, 6e-6});
  for (auto [B, N, D, heads] : sizes)
    cases.push_back(
        {"attention_probabilities", {{{B, N, 3 * D}}}, {{"heads", {double(heads)}}}, 6e-6});
  // In bf16: short sequences whose last step is whole or not, two blocks, heads of odd widths.
  const int64_t more[][4] = {{1, 64, 128, 2}, {1, 197, 64, 1}, {2, 33, 51, 3}, {1, 66, 90, 1}};
  for (auto [B, N, D, heads] : more)
    cases.push_back({"attention", {{{B, N, 3 * D}}}, {{"heads", {double(heads)}}}, 6e-6});
  cases.push_back({"attention", {{{1, 9, 30}}}, {{"heads", {2}}, {"scale", {3}}}, 6e-6});
}

void add_mixture(Cases& cases) {
  for (auto [B, K, D] : {std::array<int64_t, 3>{1, 1, 3}, {7, 129, 5}, {64, 300, 40}}) {
    Input x{{B, D}}, pi{{K}, Dtype::F32, 0.1, 1}, mu{{K, D}}, var{{K, D}, Dtype::F32, 0.2, 1};
    cases.push_back({"gmm_responsibilities", {x, pi, mu, var}, {{"beta", {0.7}}}, 4e-6});
    Input gamma{{B, K}, Dtype::F32, 0, 1}, second{{K, D}, Dtype::F32, 1, 2};
    for (double by : {0, 1})
      cases.push_back({"gmm_update",
                       {pi, mu, var, pi, mu, second, x, gamma, none()},
                       {{"eta", {0.1}}, {"var_floor", {1e-3}}, {"by_responsibility", {by}}},
                       8e-6,
                       {0, 1, 2, 3, 4, 5}});
  }
  for (auto [K, P] : {std::array<int64_t, 2>{1, 2}, {7, 64}, {129, 100}, {40, 256}})
    for (double temperature : {0.1, 0.002})
      cases.push_back({"vmf_log_normalizer", {{{K, P}}}, {{"temperature", {temperature}}}});
}

void add_resampling(Cases& cases) {
  for (double last : {0, 1})
    for (double bicubic : {0, 1})
      for (double antialias : {0, 1}) {
        Shape shape = last ? Shape{7, 5, 3} : Shape{3, 7, 5};
        cases.push_back({"interpolate",
                         {{shape}},
                         {{"height", {4}},
                          {"width", {9}},
                          {"bicubic", {bicubic}},
                          {"antialias", {antialias}},
                          {"offset", {0.1}},
                          {"channels_last", {last}}}});
      }
}

void add_updates(Cases& cases) {
  Input value{{1000}}, probability{{100}, Dtype::F32, -9, 0};
  cases.push_back({"ema_update", {value, value, none()}, {{"momentum", {0.9}}}, 2e-6, {0}});
  cases.push_back({"ema_update", {value, value, {{}}}, {{"momentum", {0}}}, 2e-6, {0}});
  for (double of_logs : {0, 1})
    cases.push_back({"log_ema_update",
                     {probability, probability, none()},
                     {{"momentum", {0.9}}, {"of_logs", {of_logs}}},
                     2e-6,
                     {0}});
  Input p{{33, 3}}, q{{20000}}, positive{{33, 3}, Dtype::F32, 0, 1};
  Input positive_q{{20000}, Dtype::F32, 0, 1};
  std::vector<std::pair<std::string, std::vector<double>>> attrs = {{"lr", {1e-3, 1e-2, 1e-3}},
                                                                    {"weight_decay", {0.1, 0, 0.1}},
                                                                    {"step", {1, 3, 2}},
                                                                    {"clip_group", {0, 0, 2}},
                                                                    {"clip", {3}},
                                                                    {"beta1", {0.9}},
                                                                    {"beta2", {0.999}},
                                                                    {"eps", {1e-8}},
                                                                    {"momentum", {0.99}}};
  Input nan{{20000}, Dtype::F32, INFINITY, INFINITY};  // inf - inf
  for (const Input& gradient : {q, nan})
    cases.push_back(
        {"adamw",
         {{{}}, p, p, p, positive, p, q, gradient, q, positive_q, none(), p, none(), p, p, p},
         attrs,
         4e-6,
         {1, 3, 4, 5, 6, 8, 9, 11, 15},
         0,
         1e-30,
         Dtype::F32});
}

void add_maps(Cases& cases) {
  for (auto [N, P, perplexity, iterations] :
       {std::array<double, 4>{4, 1, 1, 3}, {37, 24, 5, 0}, {37, 24, 5, 6}, {130, 3, 30, 4}})
    cases.push_back({"tsne",
                     {{{int64_t(N), int64_t(P)}}, {{int64_t(N), 2}}},
                     {{"perplexity", {perplexity}}, {"iterations", {iterations}}},
                     1e-4});
}

}  // namespace

std::vector<Case> agreement_cases() {
  Cases cases;
  add_elementwise(cases);
  add_rows(cases);
  add_layers(cases);
  add_tokens(cases);
  add_linear(cases);
  add_attention(cases);
  for (const Case& c : prototype_cases()) cases.push_back(c);
  add_maps(cases);
  add_mixture(cases);
  add_resampling(cases);
  add_updates(cases);
  for (const Case& c : image_cases()) cases.push_back(c);
  for (const Case& c : rounded_cases(cases)) cases.push_back(c);
  for (const Case& c : stored_cases()) cases.push_back(c);
  return cases;
}

}  // namespace protea::test
