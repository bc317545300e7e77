// Which barriers and waits are needed: each is left out in turn, which some case must notice.
#include <map>

#include "../../../cuda/device.h"
#include "../../check.h"
#include "agreement.h"

namespace protea {
#ifndef __CUDACC__
namespace test {
namespace {

// Gives the GPU what the CPU gives?
bool agrees(const Case& c) {
  Runtime runtime;
  runtime.set_poison(true);
  auto truth = results(runtime, c, Device::Cpu, c.truth);
  auto got = results(runtime, c, Device::Cuda, Dtype::F32);
  for (size_t i = 0; i < truth.size(); i++)
    if (worst_error(c, got[i].second, truth[i].second).value > c.tolerance) return false;
  return true;
}

// Does a check fail, or a schedule throw, when a wait is left out? Streams that run ahead come
// last: there a kernel's fault may come up where nothing can catch it.
bool notices(const std::function<bool()>& check, simt::Site site) {
  const std::pair<simt::Order, simt::Streams> schedules[] = {
      {simt::Order::Priority, simt::Streams::AtOnce},
      {simt::Order::Reverse, simt::Streams::AtOnce},
      {simt::Order::Priority, simt::Streams::Wander}};
  for (auto [order, streams] : schedules) {
    simt::config = {.order = order, .seed = 3, .streams = streams, .skip = site};
    try {
      if (!check()) return true;
    } catch (const std::exception&) {
      return true;
    }
  }
  return false;
}

using Checks = std::vector<std::function<bool()>>;

// Every place where threads wait for each other, with the checks that come by.
std::map<simt::Site, Checks> waiting_places(const std::string& filter) {
  Checks checks;
  for (const Case& c : agreement_cases())
    if (op(c.op).cuda && c.op.rfind(filter, 0) == 0) checks.push_back([c] { return agrees(c); });
  if (filter.empty() || filter == "machine")
    for (bool (*check)() : waiting_checks()) checks.push_back(check);
  std::map<simt::Site, Checks> places;
  for (const auto& check : checks) {
    simt::visited_sites();
    check();
    for (simt::Site site : simt::visited_sites()) places[site].push_back(check);
  }
  return places;
}

}  // namespace
}  // namespace test

// Leaves out each barrier, warp barrier and wait of the kernels in turn: each must be missed.
void test_removals(const std::string& filter) {
  for (const auto& [site, checks] : test::waiting_places(filter)) {
    bool found = false;
    for (const auto& check : checks) found = found || test::notices(check, site);
    simt::config = {};
    test::expect(found, std::string("nothing misses the wait at ") + site.name() + ":" +
                            std::to_string(site.line));
  }
}
#else
void test_removals(const std::string&) {}
#endif
}  // namespace protea
