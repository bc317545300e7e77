// Every op's CUDA kernel against its CPU kernel in f64: values, gradients overwritten and added to.
// Emulated, each case runs under several schedules and must give the same bits.
#include "agreement.h"

#include <cstring>

#include "../../../cuda/device.h"
#include "../../check.h"

namespace protea {
namespace test {
namespace {

void compare(const Case& c, const std::string& what, const Values& got, const Values& truth) {
  auto [worst, at] = worst_error(c, got, truth);
  std::string text = name_of(c) + ": " + what;
  if (!(worst <= c.tolerance))
    text += ": at " + std::to_string(at) + " " + std::to_string(got[at]) + ", expected " +
            std::to_string(truth[at]) + ", error " + std::to_string(worst / c.tolerance) +
            " tolerances";
  expect(worst <= c.tolerance, text);
}

bool same_bits(const Values& a, const Values& b) {
  return a.empty() || !std::memcmp(a.data(), b.data(), b.size() * sizeof(double));
}

// The schedules an emulated case runs under: one is enough for the race check, which does not
// depend on them. On hardware, two runs.
int schedules() {
#ifdef __CUDACC__
  return 2;
#else
  return simt::races_checked() ? 1 : 4;
#endif
}

void use_schedule(int i) {
#ifndef __CUDACC__
  simt::Order orders[] = {simt::Order::Forward, simt::Order::Reverse, simt::Order::Priority,
                          simt::Order::Random};
  simt::config.order = orders[i];
  simt::config.seed = static_cast<uint64_t>(i);
  simt::config.defer_copies = i != 1;
  simt::config.lazy = i == 2;
#else
  (void)i;
#endif
}

void run(const Case& c) {
  Runtime runtime;
  runtime.set_poison(true);
  runtime.arena(Device::Cuda).set_exact(true);
  auto truth = results(runtime, c, Device::Cpu, c.truth);
  Results first;
  for (int i = 0; i < schedules(); i++) {
    use_schedule(i);
    auto got = results(runtime, c, Device::Cuda, Dtype::F32);
    if (i == 0) {
      for (size_t j = 0; j < truth.size(); j++)
        compare(c, got[j].first, got[j].second, truth[j].second);
      first = got;
      continue;
    }
    for (size_t j = 0; j < got.size(); j++)
      expect(same_bits(got[j].second, first[j].second),
             name_of(c) + ": " + got[j].first + ": other bits in run " + std::to_string(i));
  }
  use_schedule(0);
}

}  // namespace
}  // namespace test

void test_agreement(const std::string& filter) {
  for (const test::Case& c : test::agreement_cases()) {
    if (!op(c.op).cuda || c.op.rfind(filter, 0) != 0) continue;
    try {
      test::run(c);
    } catch (const std::exception& error) {
      test::expect(false, test::name_of(c) + ": " + error.what());
    }
  }
}

}  // namespace protea
