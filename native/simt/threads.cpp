#include "threads.h"

#include <algorithm>

namespace simt {

Config config;
Here here;
Block block;
Team team;
Fiber host;
const Launch* running;
Outcome outcome;

namespace {

int rank[max_threads / 32];
uint64_t random_state = 1;

int first_lane(uint32_t ready) { return __builtin_ctz(ready); }
int last_lane(uint32_t ready) { return 31 - __builtin_clz(ready); }

void report_deadlock() {
  block.failing = true;
  std::ostringstream what;
  what << "threads wait for each other";
  for (int i = 0, shown = 0; i < team.count && shown < 4; i++) {
    if (team.threads[i].state == State::Done) continue;
    what << "; thread " << team.threads[i].index << " at " << team.threads[i].site;
    shown++;
  }
  leave(Fault::Deadlock, what.str());
}

}  // namespace

void seed_schedule(uint64_t seed) { random_state = seed; }

uint32_t random_below(uint32_t n) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>((random_state >> 33) % n);
}

void rank_warps() {
  int n = team.count / 32;
  for (int i = 0; i < n; i++) {
    rank[i] = i;
    std::swap(rank[i], rank[random_below(i + 1)]);
  }
}

int pick() {
  int n = team.count / 32, start = config.order == Order::Random ? random_below(n) : 0;
  for (int i = 0; i < n; i++) {
    int w = (start + i) % n;
    if (config.order == Order::Reverse) w = n - 1 - i;
    if (config.order == Order::Priority) w = rank[i];
    uint32_t ready = team.warps[w].ready;
    if (!ready) continue;
    if (config.order == Order::Reverse) return w * 32 + last_lane(ready);
    if (config.order != Order::Random) return w * 32 + first_lane(ready);
    int shift = random_below(32);
    uint32_t turned = ready >> shift | (shift ? ready << (32 - shift) : 0);
    return w * 32 + (first_lane(turned) + shift) % 32;
  }
  return -1;
}

void leave(Fault kind, const std::string& what) {
  if (!outcome.failed) {
    outcome.failed = true;
    outcome.fault = kind;
    outcome.text = what;
  }
  Fiber& from = team.threads[block.thread].fiber;
  block.running = false;
  change(from, host);
}

SIMT_UNSEEN void give_way() {
  int next = pick(), self = block.thread;
  if (next == self) return;
  if (next >= 0) {
    block.thread = next;
    here.thread = team.threads[next].index;
    change(team.threads[self].fiber, team.threads[next].fiber);
  } else if (team.done == team.count) {
    block.running = false;
    change(team.threads[self].fiber, host);
  } else {
    report_deadlock();
  }
}

void set_ready(int thread, bool on) {
  uint32_t bit = 1u << (thread & 31);
  team.warps[thread / 32].ready = (team.warps[thread / 32].ready & ~bit) | (on ? bit : 0);
}

void wait_at(Site site, State state) {
  Thread& self = team.threads[block.thread];
  self.site = site;
  self.state = state;
  set_ready(block.thread, false);
  give_way();
}

}  // namespace simt
