// Every op's CUDA kernel against its CPU kernel in f64: values, gradients overwritten and added to.
// Emulated, each case runs under several schedules and must give the same bits. Prints a JSON line
// an op and precision: how many cases, and the one that came nearest to its tolerance.
#include "agreement.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include "../../../cuda/device.h"
#include "../../check.h"

namespace protea {
namespace test {
namespace {

// Of one op in one precision.
struct Sum {
  int cases = 0;
  double error = 0, tolerance = 0;
  void add(double found, double allowed) {
    if (tolerance > 0 && found * tolerance <= error * allowed) return;
    error = found;
    tolerance = allowed;
  }
};
using Sums = std::map<std::pair<std::string, Precision>, Sum>;

void compare(const Case& c, const std::string& what, const Values& got, const Values& truth,
             Sum& sum) {
  auto [worst, at] = worst_error(c, got, truth);
  sum.add(worst, c.tolerance);
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
// depend on them, and the two that differ most for bf16. On hardware, two runs.
std::vector<int> schedules(const Case& c) {
#ifdef __CUDACC__
  (void)c;
  return {0, 1};
#else
  if (simt::races_checked()) return {0};
  return c.precision == Precision::BF16 ? std::vector<int>{0, 2} : std::vector<int>{0, 1, 2, 3};
#endif
}

void use_schedule(int i) {
#ifndef __CUDACC__
  simt::Order orders[] = {simt::Order::Forward, simt::Order::Reverse, simt::Order::Priority,
                          simt::Order::Random};
  simt::config.order = orders[i];
  simt::config.seed = static_cast<uint64_t>(i);
  simt::config.defer_copies = i != 1;
  simt::config.streams = i == 2   ? simt::Streams::Lazy
                         : i == 3 ? simt::Streams::Wander
                                  : simt::Streams::AtOnce;
#else
  (void)i;
#endif
}

void use_card(const Case& c) {
#ifndef __CUDACC__
  simt::config.shared_limit = (c.small_card ? 99 : 227) << 10;
#else
  (void)c;
#endif
}

void run(const Case& c, Sum& sum) {
  use_card(c);
  Runtime runtime;
  runtime.set_poison(true);
  runtime.arena(Device::Cuda).set_exact(true);
  auto truth = results(runtime, c, Device::Cpu, c.truth);
  Results first;
  for (int i : schedules(c)) {
    use_schedule(i);
    auto got = results(runtime, c, Device::Cuda, Dtype::F32);
    if (i == 0) {
      for (size_t j = 0; j < truth.size(); j++)
        compare(c, got[j].first, got[j].second, truth[j].second, sum);
      first = got;
      continue;
    }
    for (size_t j = 0; j < got.size(); j++)
      expect(same_bits(got[j].second, first[j].second),
             name_of(c) + ": " + got[j].first + ": other bits in run " + std::to_string(i));
  }
  use_schedule(0);
}

// Infinity is no number of JSON.
void print(const Sums& sums) {
  for (const auto& [key, sum] : sums)
    std::printf(
        "{\"op\":\"%s\",\"precision\":\"%s\",\"cases\":%d,\"error\":%.3g,\"tolerance\":%.3g}\n",
        key.first.c_str(), key.second == Precision::F32 ? "f32" : "bf16", sum.cases,
        std::fmin(sum.error, 1e300), sum.tolerance);
}

// A card with less shared memory than the widest heads need says so; that is no disagreement.
bool is_limit_of_card(const std::exception& error) {
#ifdef __CUDACC__
  auto* known = dynamic_cast<const Error*>(&error);
  return known && known->code == Code::Unsupported;
#else
  (void)error;
  return false;
#endif
}

// After a failed call of CUDA nothing else can run in this process.
bool is_end_of_device(const std::exception& error) {
  auto* known = dynamic_cast<const Error*>(&error);
  return known && known->code == Code::Cuda;
}

}  // namespace
}  // namespace test

void test_agreement(const std::string& filter) {
  test::Sums sums;
  for (const test::Case& c : test::agreement_cases()) {
    std::string name = test::name_of(c);
    if (!op(c.op).cuda || name.rfind(filter, 0) != 0) continue;
    test::Sum& sum = sums[{c.op, c.precision}];
    try {
      test::run(c, sum);
      sum.cases++;
    } catch (const std::exception& error) {
      if (test::is_limit_of_card(error)) {
        std::printf("skipped: %s: %s\n", name.c_str(), error.what());
        continue;
      }
      test::expect(false, name + ": " + error.what());
      if (test::is_end_of_device(error)) break;
    }
  }
  test::print(sums);
}

// The ops that have cases, one a line.
void list_agreement() {
  std::set<std::string> names;
  for (const test::Case& c : test::agreement_cases()) names.insert(c.op);
  for (const std::string& name : names) std::printf("%s\n", name.c_str());
}

}  // namespace protea
