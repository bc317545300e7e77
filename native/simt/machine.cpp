#include "machine.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <sstream>
#include <vector>

#include "block.h"
#include "fiber.h"
#include "runtime.h"

namespace simt {

Config config;
Here here;
Block block;

const char* name_of(Fault fault) {
  static const char* names[] = {"race",
                                "read of shared memory that was never written",
                                "use of memory an asynchronous copy is filling",
                                "barrier not reached by all threads",
                                "collective not reached by all lanes",
                                "deadlock",
                                "wild address",
                                "misaligned address",
                                "launch refused",
                                "stack overrun"};
  return names[static_cast<int>(fault)];
}

namespace {

constexpr int max_threads = 1024;
constexpr uint32_t all_lanes = 0xffffffffu;
constexpr size_t shared_alignment = 128, shared_limit = 227 << 10;

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

Thread threads[max_threads];
Warp warps[max_threads / 32];
int rank[max_threads / 32];
Fiber host;
const Launch* running;
int count, done, waiting;
Site barrier_site;
bool failed;
Fault fault;
std::string failure;
size_t launch_count;
uint64_t random_state = 1;

uint32_t random_below(uint32_t n) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>((random_state >> 33) % n);
}

std::ostream& operator<<(std::ostream& out, Site site) {
  return out << site.name() << ":" << site.line;
}

std::ostream& operator<<(std::ostream& out, const uint3& at) {
  return out << "(" << at.x << ", " << at.y << ", " << at.z << ")";
}

std::set<Site> visited;

// Notes the site; is it the one to be left out?
bool left_out(Site site) {
  visited.insert(site);
  return config.skip == site;
}

// fail() with a text of parts. From here on nothing is checked: the linker may have taken the
// string functions of an instrumented file.
template <class... Parts>
[[noreturn]] void refuse(Fault kind, const Parts&... parts) {
  block.failing = true;
  std::ostringstream what;
  (what << ... << parts);
  fail(kind, what.str());
}
bool shuffled() { return config.order == Order::Random || config.order == Order::Priority; }

int first_lane(uint32_t ready) { return __builtin_ctz(ready); }
int last_lane(uint32_t ready) { return 31 - __builtin_clz(ready); }

// The next ready thread by the schedule; -1: none.
int pick() {
  int n = count / 32, start = config.order == Order::Random ? random_below(n) : 0;
  for (int i = 0; i < n; i++) {
    int w = (start + i) % n;
    if (config.order == Order::Reverse) w = n - 1 - i;
    if (config.order == Order::Priority) w = rank[i];
    uint32_t ready = warps[w].ready;
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
  if (!failed) {
    failed = true;
    fault = kind;
    failure = what;
  }
  Fiber& from = threads[block.thread].fiber;
  block.running = false;
  change(from, host);
}

void report_deadlock() {
  block.failing = true;
  std::ostringstream what;
  what << "threads wait for each other";
  for (int i = 0, shown = 0; i < count && shown < 4; i++) {
    if (threads[i].state == State::Done) continue;
    what << "; thread " << threads[i].index << " at " << threads[i].site;
    shown++;
  }
  leave(Fault::Deadlock, what.str());
}

// Runs the next ready thread; comes back when this one is chosen again.
void give_way() {
  int next = pick(), self = block.thread;
  if (next == self) return;
  if (next >= 0) {
    block.thread = next;
    here.thread = threads[next].index;
    change(threads[self].fiber, threads[next].fiber);
  } else if (done == count) {
    block.running = false;
    change(threads[self].fiber, host);
  } else {
    report_deadlock();
  }
}

void set_ready(int thread, bool on) {
  uint32_t bit = 1u << (thread & 31);
  warps[thread / 32].ready = (warps[thread / 32].ready & ~bit) | (on ? bit : 0);
}

void wait_at(Site site, State state) {
  Thread& self = threads[block.thread];
  self.site = site;
  self.state = state;
  set_ready(block.thread, false);
  give_way();
}

void end_thread() {
  Thread& self = threads[block.thread];
  Warp& warp = warps[block.thread / 32];
  if (!self.open.empty() || !self.committed.empty())
    refuse(Fault::InFlight, "a thread ends with an asynchronous copy it never waited for");
  if (waiting) refuse(Fault::Barrier, "a thread ends while others wait at ", barrier_site);
  if (warp.arrived)
    refuse(Fault::Collective, "a lane ends while others of its warp wait at ", warp.site);
  self.state = State::Done;
  set_ready(block.thread, false);
  done++;
  give_way();
}

void thread_entry() {
  entered();
  running->thread(running->arguments.get());
  end_thread();
  std::abort();  // nobody returns to a thread that has ended
}

void rank_warps() {
  int n = count / 32;
  for (int i = 0; i < n; i++) {
    rank[i] = i;
    std::swap(rank[i], rank[random_below(i + 1)]);
  }
}

void start_block(dim3 size) {
  done = waiting = 0;
  block.number++;
  block.epoch = 1;
  block.failing = false;
  for (int w = 0; w < count / 32; w++) {
    warps[w].ready = all_lanes;
    warps[w].arrived = 0;
    block.warp_epochs[w] = 1;
  }
  for (int i = 0; i < count; i++) {
    auto at = static_cast<unsigned>(i);
    threads[i].index = {at % size.x, at / size.x % size.y, at / (size.x * size.y)};
    threads[i].state = State::Ready;
    threads[i].open.clear();
    threads[i].committed.clear();
    prepare(threads[i].fiber, thread_entry);
  }
  rank_warps();
}

void run_block() {
  start_block(running->block);
  int first = pick();
  block.thread = first;
  block.running = true;
  here.thread = threads[first].index;
  change(host, threads[first].fiber);
  for (int i = 0; i < count; i++) {
    if (overran(threads[i].fiber) && !failed) {
      failed = true;
      fault = Fault::StackOverrun;
      failure = "a thread needs more than " + std::to_string(stack_bytes) + " bytes of stack";
    }
    threads[i].fiber.abandoned = failed;
  }
  block.arrays.clear();
}

uint64_t divisor(uint64_t a, uint64_t b) { return b ? divisor(b, a % b) : a; }

// Blocks in order, in reverse, or in a random order (a stride without a common divisor).
void run_grid(dim3 grid) {
  uint64_t n = uint64_t{grid.x} * grid.y * grid.z, start = 0, step = 1;
  if (shuffled()) {
    start = random_below(static_cast<uint32_t>(n));
    do step = random_below(static_cast<uint32_t>(n)) | 1;
    while (divisor(step, n) != 1);
  }
  for (uint64_t i = 0; i < n && !failed; i++) {
    uint64_t j = config.order == Order::Reverse ? n - 1 - i : (start + i * step) % n;
    here.block = {static_cast<unsigned>(j % grid.x), static_cast<unsigned>(j / grid.x % grid.y),
                  static_cast<unsigned>(j / (uint64_t{grid.x} * grid.y))};
    run_block();
  }
}

std::mutex one_launch;  // the machine is one for the process

void run(const Launch& launch) {
  std::lock_guard lock(one_launch);
  running = &launch;
  here.block_size = launch.block;
  here.grid_size = launch.grid;
  count = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  failed = false;
  random_state = config.seed * 0x9e3779b97f4a7c15u + launch_count + 1;
  launch_count++;
  block.first_of_launch = block.number + 1;
  block.arguments = launch.arguments.get();
  block.argument_bytes = launch.argument_bytes;
  block.dynamic_left = launch.shared;
  run_grid(launch.grid);
  if (failed) throw Failure(fault, failure);
}

void check_launch(const Launch& l) {
  uint64_t size = uint64_t{l.block.x} * l.block.y * l.block.z;
  bool fits = size > 0 && size <= max_threads && size % 32 == 0 && l.shared <= shared_limit &&
              l.grid.x > 0 && l.grid.y > 0 && l.grid.z > 0 && l.grid.x <= 0x7fffffffu &&
              l.grid.y <= 65535 && l.grid.z <= 65535;
  if (fits) return;
  std::ostringstream what;
  what << "launch refused: " << l.name << " with grid " << uint3{l.grid.x, l.grid.y, l.grid.z}
       << ", block " << uint3{l.block.x, l.block.y, l.block.z} << ", " << l.shared
       << " bytes of shared memory";
  throw Failure(Fault::Launch, what.str());
}

void land(const Copy& copy) {
  auto* to = static_cast<char*>(copy.to);
  copy_raw(to, copy.from, copy.valid);
  for (size_t i = copy.valid; i < copy.bytes; i++) to[i] = 0;
}

}  // namespace

void Block::Deleter::operator()(void* data) const {
  ::operator delete (data, std::align_val_t{shared_alignment});
}

void launch(Launch launch, cudaStream_t stream) {
  check_launch(launch);
  enqueue(stream, [launch = std::move(launch)] { run(launch); });
}

size_t launches() { return launch_count; }

const char* Site::name() const {
  const char* slash = std::strrchr(file, '/');
  return slash ? slash + 1 : file;
}

bool Site::operator==(const Site& other) const {
  return line == other.line && !std::strcmp(name(), other.name());
}

bool Site::operator<(const Site& other) const {
  return line != other.line ? line < other.line : std::strcmp(name(), other.name()) < 0;
}

std::set<Site> visited_sites() { return std::move(visited); }

void fail(Fault kind, const std::string& what) {
  block.failing = true;
  std::ostringstream full;
  full << name_of(kind) << ": " << what;
  if (!block.running) throw Failure(kind, full.str());
  full << " (kernel " << running->name << ", block " << here.block << ", thread " << here.thread
       << ")";
  leave(kind, full.str());
  std::abort();
}

void barrier(Site site) {
  if (left_out(site)) return;
  if (waiting && !(site == barrier_site))
    refuse(Fault::Barrier, "a thread waits at ", site, ", others at ", barrier_site);
  if (done) refuse(Fault::Barrier, "a thread waits at ", site, ", but another has ended");
  barrier_site = site;
  waiting++;
  if (waiting < count) return wait_at(site, State::Barrier);
  waiting = 0;
  block.epoch++;
  for (int i = 0; i < count; i++)
    if (threads[i].state == State::Barrier) {
      threads[i].state = State::Ready;
      set_ready(i, true);
    }
  if (shuffled()) give_way();
}

Slots exchange(Collective kind, const void* mine, size_t bytes, Site site) {
  int lane = block.thread & 31;
  Warp& warp = warps[block.thread / 32];
  if (warp.arrived && (warp.kind != kind || !(warp.site == site)))
    refuse(Fault::Collective, "a lane is at ", site, ", others at ", warp.site);
  for (int i = block.thread - lane; done && i < block.thread - lane + 32; i++)
    if (threads[i].state == State::Done)
      refuse(Fault::Collective, "a lane waits at ", site, ", but another has ended");
  warp.kind = kind;
  warp.site = site;
  auto* slots = warp.slots[warp.side];
  copy_raw(slots[lane], mine, bytes);
  warp.arrived |= 1u << lane;
  if (warp.arrived != all_lanes) {
    wait_at(site, State::Collective);
    return slots;
  }
  warp.arrived = 0;
  warp.side ^= 1;
  for (int i = block.thread - lane; i < block.thread - lane + 32; i++)
    threads[i].state = State::Ready;
  warp.ready = all_lanes;
  if (kind == Collective::Sync) block.warp_epochs[block.thread / 32]++;
  if (shuffled()) give_way();
  return slots;
}

void sync_warp(Site site) {
  if (left_out(site)) return;
  char nothing = 0;
  exchange(Collective::Sync, &nothing, 1, site);
}

void check_mask(unsigned mask, Site site) {
  if (mask != all_lanes) refuse(Fault::Collective, site, ": a collective must name all 32 lanes");
}

static void* make_array(const void* key, size_t bytes) {
  void* data = ::operator new (bytes, std::align_val_t{shared_alignment});
  for (size_t i = 0; i < bytes; i++) static_cast<unsigned char*>(data)[i] = 0xff;  // NaN
  block.arrays.push_back({key, bytes, Block::Data(data)});
  return data;
}

void* shared(const void* key, size_t bytes) {
  for (const Block::Array& array : block.arrays)
    if (array.key == key) return array.data.get();
  return make_array(key, bytes);
}

void* carve(int index, size_t bytes) {
  static const char keys[64] = {};
  for (const Block::Array& array : block.arrays) {
    if (array.key != keys + index) continue;
    if (array.bytes != bytes) refuse(Fault::Launch, "threads carve shared memory differently");
    return array.data.get();
  }
  size_t taken = (bytes + 15) / 16 * 16;
  for (const Block::Array& array : block.arrays)
    if (array.key >= keys && array.key < keys + 64) taken += (array.bytes + 15) / 16 * 16;
  if (taken > block.dynamic_left)
    refuse(Fault::Launch, "the launch gives ", block.dynamic_left,
           " bytes of shared memory, the kernel carves ", taken);
  return make_array(keys + index, bytes);
}

void async_copy(void* to, const void* from, size_t bytes, size_t valid, Site site) {
  auto bits = reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from);
  if (bits & (bytes - 1))
    refuse(Fault::Misaligned, site, ": an asynchronous copy of ", bytes,
           " bytes needs both addresses aligned to them");
  if (valid) touch(from, valid, false);
  touch(to, bytes, true);
  Copy copy{to, from, bytes, valid};
  if (config.defer_copies)
    in_flight(to, bytes, true);
  else
    land(copy);
  threads[block.thread].open.push_back(copy);
}

void async_commit() {
  Thread& self = threads[block.thread];
  self.committed.push_back(std::move(self.open));
  self.open.clear();
}

// A wait that is left out leaves its copies to the next one, or to the end of the thread.
void async_wait(int keep, Site site) {
  if (left_out(site)) return;
  Thread& self = threads[block.thread];
  while (static_cast<int>(self.committed.size()) > keep) {
    for (const Copy& copy : self.committed.front()) {
      if (!config.defer_copies) continue;
      land(copy);
      in_flight(copy.to, copy.bytes, false);
      touch(copy.to, copy.bytes, true);
    }
    self.committed.pop_front();
  }
}

void copy_raw(void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); }

}  // namespace simt
