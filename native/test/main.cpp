// protea-native-test [PART [FILTER]]: gemm, diagnosis, machine, products, agreement; removals
// (every barrier left out in turn), planted (one mistake, by its name), bench (times on a GPU).
// Without a part the first five. FILTER keeps the ops that begin with it.
#include <cstdio>
#include <exception>
#include <string>

#include "check.h"

namespace protea {
namespace test {

static int passed = 0, failed = 0;

void expect(bool ok, const std::string& what) {
  (ok ? passed : failed)++;
  if (!ok) std::printf("failed: %s\n", what.c_str());
}

}  // namespace test

void test_diagnosis();
void test_gemm();
#ifdef PROTEA_CUDA
void test_machine();
void test_products();
void test_agreement(const std::string& filter);
void test_removals(const std::string& filter);
void test_planted(const std::string& name);
void run_bench(const std::string& filter);
#endif

namespace {

void run(const std::string& part, const std::string& filter) {
  if (part.empty() || part == "gemm") test_gemm();
  if (part.empty() || part == "diagnosis") test_diagnosis();
#ifdef PROTEA_CUDA
  if (part.empty() || part == "machine") test_machine();
  if (part.empty() || part == "products") test_products();
  if (part.empty() || part == "agreement") test_agreement(filter);
  if (part == "removals") test_removals(filter);
  if (part == "planted") test_planted(filter);
  if (part == "bench") run_bench(filter);
#endif
}

}  // namespace
}  // namespace protea

int main(int count, char** arguments) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  auto argument = [&](int i) { return i < count ? std::string(arguments[i]) : std::string(); };
  try {
    protea::run(argument(1), argument(2));
  } catch (const std::exception& error) {
    protea::test::expect(false, error.what());
  }
  std::printf("%d passed, %d failed\n", protea::test::passed, protea::test::failed);
  return protea::test::failed ? 1 : 0;
}
