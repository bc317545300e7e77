#pragma once
// The threads of the block that runs: who is ready, who waits where, and whose turn it is.
#include <deque>
#include <sstream>
#include <vector>

#include "block.h"
#include "fiber.h"
#include "machine.h"

namespace simt {

constexpr int max_threads = 1024;
constexpr uint32_t all_lanes = 0xffffffffu;

enum class State : uint8_t { Ready, Barrier, Collective, Done };

struct Copy {
  void* to;
  const void* from;
  size_t bytes, valid;
};

struct Thread {
  Fiber fiber;
  uint3 index;
  State state = State::Ready;
  Site site;  // where it waits
  std::vector<Copy> open;
  std::deque<std::vector<Copy>> committed;
};

struct Warp {
  uint32_t ready = 0, arrived = 0;
  Collective kind = Collective::Sync;
  Site site;
  int side = 0;  // a lane can be one collective ahead of another, so two sets of slots are enough
  unsigned char slots[2][32][slot_bytes];
};

// The block's threads, and what they are doing.
struct Team {
  Thread threads[max_threads];
  Warp warps[max_threads / 32];
  int count, done, waiting;  // threads in all, ended, at the barrier
  Site barrier_site;
};
extern Team team;
extern Fiber host;
extern const Launch* running;

// How the launch ended.
struct Outcome {
  bool failed = false;
  Fault fault;
  std::string text;
};
extern Outcome outcome;

// Threads and blocks come in a random order.
inline bool shuffled() { return config.order == Order::Random || config.order == Order::Priority; }
void seed_schedule(uint64_t seed);
uint32_t random_below(uint32_t n);
void rank_warps();
int pick();  // the next ready thread by the schedule; -1: none

// Runs the next ready thread; comes back when this one is chosen again.
void give_way();
void set_ready(int thread, bool on);
void wait_at(Site site, State state);
// Ends the launch.
void leave(Fault kind, const std::string& what);

// Notes the site; is it the one to be left out?
bool left_out(Site site);

std::ostream& operator<<(std::ostream& out, Site site);
std::ostream& operator<<(std::ostream& out, const uint3& at);

// fail() with a text of parts. From here on nothing is checked: the linker may have taken the
// string functions of an instrumented file.
template <class... Parts>
[[noreturn]] void refuse(Fault kind, const Parts&... parts) {
  block.failing = true;
  std::ostringstream what;
  (what << ... << parts);
  fail(kind, what.str());
}

}  // namespace simt
