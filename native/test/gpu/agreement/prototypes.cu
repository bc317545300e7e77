// Cases of the ops over prototypes, and of those that search for near rows.
#include <array>
#include <cmath>

#include "agreement.h"

namespace protea::test {
namespace {

using Cases = std::vector<Case>;

// P numbers of a bottleneck, about as long as a unit vector.
Input points(Shape shape) {
  double bound = 1.7 / std::sqrt(static_cast<double>(shape.dim(-1)));
  return {shape, Dtype::F32, -bound, bound};
}

void add_cross_entropy(Cases& cases, int64_t B, int64_t K, int64_t P, bool full) {
  int64_t V = 3, U = 2;
  Input z = points({V * B, P}), w = points({K, P}), bias{{K}};
  Input teacher_z = points({U * B, P}), teacher_w = points({K, P}), teacher_bias{{K}};
  Input weight = fixed({V * B}, 0.5, 1.5);
  for (Input* input : {&teacher_z, &teacher_w, &teacher_bias}) input->wanted = false;
  cases.push_back({"prototype_cross_entropy",
                   {z, w, full ? bias : none(), teacher_z, teacher_w, full ? teacher_bias : none(),
                    full ? weight : none()},
                   {{"views", {double(V)}},
                    {"teacher_views", {double(U)}},
                    {"pairs", {0, 0.5, 0.25, 0, 1, 0.125}},
                    {"student_temperature", {0.1}},
                    {"teacher_temperature", {0.05}}},
                   1e-5,
                   {},
                   0,
                   K == 1 ? 1 : 1e-30});
}

void add_prototypes(Cases& cases) {
  for (int64_t P : {64, 100, 256}) {
    add_cross_entropy(cases, 1, 1, P, true);
    add_cross_entropy(cases, 7, 130, P, P != 100);
  }
  add_cross_entropy(cases, 43, 1000, 64, true);
  add_cross_entropy(cases, 7, 4099, 64, false);
  for (auto [R, K, P] : {std::array<int64_t, 3>{1, 1000, 64},
                         {7, 1, 64},
                         {9, 140, 200},
                         {5, 66, 300},
                         {129, 130, 100}}) {
    Input z = points({R, P}), w = points({K, P}), bias{{K}};
    for (double log : {0, 1})
      cases.push_back({"prototype_marginal",
                       {z, w, log ? bias : none()},
                       {{"temperature", {0.1}}, {"log", {log}}},
                       1e-5,
                       {},
                       0,
                       1});
    for (double start : {0, 1})
      cases.push_back(
          {"prototype_sinkhorn",
           {z, w},
           {{"temperature", {0.1}}, {"iterations", {3}}, {"from_probabilities", {start}}},
           1e-5});
  }
}

void add_search(Cases& cases) {
  for (auto [B, D] : {std::array<int64_t, 2>{2, 64}, {7, 100}, {20, 700}, {129, 64}, {1000, 64}})
    for (double least : {0.0, 1e-3})
      cases.push_back({"koleo",
                       {{{B, D}}},
                       {{"eps", {1e-8}},
                        {"norm_eps", {1e-8}},
                        {"pairwise_eps", {least ? 0 : 1e-6}},
                        {"min_distance", {least}}},
                       1e-5});
  // So near each other that tensor cores cannot tell, and some the nearest of many.
  cases.push_back(
      {"koleo",
       {{{300, 100}, Dtype::F32, 0.6, 1}},
       {{"eps", {1e-8}}, {"norm_eps", {1e-8}}, {"pairwise_eps", {0}}, {"min_distance", {1e-3}}},
       1e-4});
  for (auto [K, P, epsilon] : {std::array<double, 3>{1, 64, 0.1},
                               {130, 2, 0.001},
                               {300, 2, 0.0001},
                               {150, 3, 0.01},
                               {70, 2100, 0.98}})
    for (double components : {0, 1, 2})
      cases.push_back({"unique_prototypes",
                       {{{int64_t(K), int64_t(P)}}},
                       {{"epsilons", {epsilon, epsilon / 3}}, {"components", {components}}},
                       0});
  for (auto [K, P] : {std::array<int64_t, 2>{2, 1}, {7, 64}, {129, 100}, {1000, 3}})
    cases.push_back({"nearest_prototypes", {{{K, P}}}});
  cases.push_back({"nearest_prototypes", {{{130, 24}}, whole({130}, 130)}});
  for (auto [N, M, k] :
       {std::array<int64_t, 3>{1, 1, 1}, {7, 129, 5}, {70, 300, 40}, {3, 100, 100}})
    cases.push_back({"knn_top_k", {{{N, 24}}, {{M, 24}}}, {{"k", {double(k)}}}});
}

}  // namespace

std::vector<Case> prototype_cases() {
  Cases cases;
  add_prototypes(cases);
  add_search(cases);
  return cases;
}

}  // namespace protea::test
