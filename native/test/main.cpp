// protea-native-test [PART [FILTER]]: gemm, diagnosis, gradients, machine, matrices, nearest,
// products, rounding, reads, graphs, agreement; card (what there is of a GPU), list (ops of
// agreement), bench (times on a GPU). For emulated kernels also removals (every barrier left out in
// turn) and planted (one mistake, by its name). Without a part the first ones up to agreement.
// FILTER keeps the ops, with their shapes, that begin with it. Ends with 3 where a part needs a GPU
// and there is none.
#include <cstdio>
#include <exception>
#include <string>

#include "../core/accelerator.h"
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
void test_gradients(Device device);
#ifdef PROTEA_CUDA
void test_machine();
void test_matrices();
void test_nearest();
void test_products();
void test_rounding();
void test_reads();
void test_graphs();
void test_agreement(const std::string& filter);
void test_removals(const std::string& filter);
void test_planted(const std::string& name);
void list_agreement();
void run_bench(const std::string& filter);
#endif

namespace {

struct NoGpu {};

#ifdef PROTEA_CUDA
void print_card(const AcceleratorReport& card) {
  std::printf(
      "{\"ready\":%s,\"emulated\":%s,\"reason\":\"%s\",\"name\":\"%s\",\"capability\":\"%s\","
      "\"driver\":\"%s\",\"runtime\":\"%s\",\"products\":\"%s\",\"memory\":%zu,\"processors\":%d}"
      "\n",
      card.ready ? "true" : "false", card.emulated ? "true" : "false", card.reason.c_str(),
      card.name.c_str(), card.capability.c_str(), card.driver.c_str(), card.runtime.c_str(),
      card.products.c_str(), card.memory, card.processors);
}

void need_gpu() {
  AcceleratorReport card = inspect_accelerator();
  if (card.ready) return;
  std::fprintf(stderr, "no GPU: %s. %s\n", card.reason.c_str(), card.remedy.c_str());
  throw NoGpu();
}
#endif

void run(const std::string& part, const std::string& filter) {
  if (part.empty() || part == "gemm") test_gemm();
  if (part.empty() || part == "diagnosis") test_diagnosis();
  if (part.empty() || part == "gradients") test_gradients(Device::Cpu);
#ifdef PROTEA_CUDA
  if (part == "card") return print_card(inspect_accelerator());
  if (part == "list") return list_agreement();
  if (part != "gemm" && part != "diagnosis") need_gpu();
  if (part.empty() || part == "machine") test_machine();
  if (part.empty() || part == "gradients") test_gradients(Device::Cuda);
  if (part.empty() || part == "matrices") test_matrices();
  if (part.empty() || part == "nearest") test_nearest();
  if (part.empty() || part == "products") test_products();
  if (part.empty() || part == "rounding") test_rounding();
  if (part.empty() || part == "reads") test_reads();
  if (part.empty() || part == "graphs") test_graphs();
  if (part.empty() || part == "agreement") test_agreement(filter);
  if (part == "removals") test_removals(filter);
  if (part == "planted") test_planted(filter);
  if (part == "bench") run_bench(filter);
#endif
}

}  // namespace
}  // namespace protea

#if defined(__SANITIZE_THREAD__)
// The library counts who holds an exception where the sanitizer does not see it.
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_suppressions() {
  return "race:std::__exception_ptr::exception_ptr::_M_release\n";
}
#endif

int main(int count, char** arguments) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  auto argument = [&](int i) { return i < count ? std::string(arguments[i]) : std::string(); };
  try {
    protea::run(argument(1), argument(2));
  } catch (const protea::NoGpu&) {
    return 3;
  } catch (const std::exception& error) {
    protea::test::expect(false, error.what());
  }
  std::printf("%d passed, %d failed\n", protea::test::passed, protea::test::failed);
  return protea::test::failed ? 1 : 0;
}
