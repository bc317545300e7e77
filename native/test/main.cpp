#include <cstdio>

#include "check.h"

namespace protea {
namespace test {

static int passed = 0, failed = 0;

void expect(bool ok, const char* what) {
  (ok ? passed : failed)++;
  if (!ok) std::printf("failed: %s\n", what);
}

}  // namespace test

void test_gemm();

}  // namespace protea

int main() {
  protea::test_gemm();
  std::printf("%d passed, %d failed\n", protea::test::passed, protea::test::failed);
  return protea::test::failed ? 1 : 0;
}
