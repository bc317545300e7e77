// gemm against a double loop: odd shapes, all transposes, accumulation, any number of threads.
#include "../kernels/gemm.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "../core/parallel.h"
#include "../core/random.h"
#include "check.h"

namespace protea {
namespace {

template <class T>
std::vector<T> values(int64_t n, uint32_t stream) {
  Philox random({1, 0, stream, 0});
  std::vector<T> v(n);
  for (T& x : v) x = static_cast<T>(random.uniform(-1, 1));
  return v;
}

struct Shape3 {
  int64_t M, N, K;
  bool ta, tb, accumulate;
};

template <class T>
std::vector<T> by_definition(const Shape3& s, const T* a, const T* b, std::vector<T> c) {
  for (int64_t i = 0; i < s.M; i++)
    for (int64_t j = 0; j < s.N; j++) {
      double sum = s.accumulate ? static_cast<double>(c[i * s.N + j]) : 0;
      for (int64_t k = 0; k < s.K; k++)
        sum += static_cast<double>(s.ta ? a[k * s.M + i] : a[i * s.K + k]) *
               static_cast<double>(s.tb ? b[j * s.K + k] : b[k * s.N + j]);
      c[i * s.N + j] = static_cast<T>(sum);
    }
  return c;
}

template <class T>
void compare(const Shape3& s) {
  std::vector<T> a = values<T>(s.M * s.K, 1), b = values<T>(s.K * s.N, 2);
  std::vector<T> c = values<T>(s.M * s.N, 3), expected = by_definition(s, a.data(), b.data(), c);
  Matrix<T> left{a.data(), s.ta ? s.M : s.K, s.ta}, right{b.data(), s.tb ? s.K : s.N, s.tb};
  std::vector<T> one = c, three = c;
  set_thread_count(1);
  gemm<T>(s.M, s.N, s.K, left, right, one.data(), s.N, s.accumulate);
  set_thread_count(3);
  gemm<T>(s.M, s.N, s.K, left, right, three.data(), s.N, s.accumulate);
  double worst = 0;
  for (size_t i = 0; i < one.size(); i++)
    worst = std::fmax(worst, std::fabs(static_cast<double>(one[i] - expected[i])));
  double bound = (sizeof(T) == 4 ? 2e-7 : 1e-15) * (10 + static_cast<double>(s.K));
  char name[128];
  std::snprintf(name, sizeof name, "gemm of %zu bytes, %ld x %ld x %ld, mode %d%d%d: error %g",
                sizeof(T), long(s.M), long(s.N), long(s.K), s.ta, s.tb, s.accumulate, worst);
  test::expect(worst <= bound, name);
  test::expect(!std::memcmp(one.data(), three.data(), one.size() * sizeof(T)), name);
}

}  // namespace

void test_gemm() {
  // The last ones: more columns and depth than are packed at once, with few rows and with many.
  const int64_t sizes[][3] = {{1, 1, 1},     {7, 5, 3},       {14, 32, 256},    {15, 33, 257},
                              {1, 300, 65},  {200, 1, 9},     {129, 97, 31},    {400, 70, 300},
                              {5, 5, 0},     {33, 600, 17},   {90, 1100, 20},   {3, 4200, 70},
                              {5, 700, 300}, {300, 4200, 40}, {270, 1100, 1100}};
  for (auto [M, N, K] : sizes)
    for (int mode = 0; mode < 8; mode++) {
      Shape3 shape{M, N, K, (mode & 1) != 0, (mode & 2) != 0, (mode & 4) != 0};
      compare<float>(shape);
      compare<double>(shape);
    }
}

}  // namespace protea
