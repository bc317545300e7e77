#include "machine.h"

#include <cstdlib>
#include <mutex>

#include "runtime.h"
#include "threads.h"

namespace simt {
namespace {

size_t launch_count;

SIMT_UNSEEN void end_thread() {
  Thread& self = team.threads[block.thread];
  Warp& warp = team.warps[block.thread / 32];
  if (!self.open.empty() || !self.committed.empty())
    refuse(Fault::InFlight, "a thread ends with an asynchronous copy it never waited for");
  if (team.waiting)
    refuse(Fault::Barrier, "a thread ends while others wait at ", team.barrier_site);
  if (warp.arrived)
    refuse(Fault::Collective, "a lane ends while others of its warp wait at ", warp.site);
  self.state = State::Done;
  set_ready(block.thread, false);
  team.done++;
  give_way();
}

SIMT_UNSEEN void thread_entry() {
  entered();
  running->thread(running->arguments.get());
  end_thread();
  std::abort();  // nobody returns to a thread that has ended
}

void start_block(dim3 size) {
  team.done = team.waiting = 0;
  block.number++;
  block.epoch = 1;
  block.failing = false;
  for (int w = 0; w < team.count / 32; w++) {
    team.warps[w].ready = all_lanes;
    team.warps[w].arrived = 0;
    block.warp_epochs[w] = 1;
  }
  for (int i = 0; i < team.count; i++) {
    auto at = static_cast<unsigned>(i);
    team.threads[i].index = {at % size.x, at / size.x % size.y, at / (size.x * size.y)};
    team.threads[i].state = State::Ready;
    team.threads[i].open.clear();
    team.threads[i].committed.clear();
    prepare(team.threads[i].fiber, thread_entry);
  }
  rank_warps();
}

void run_block() {
  start_block(running->block);
  int first = pick();
  block.thread = first;
  block.running = true;
  here.thread = team.threads[first].index;
  host.stack = nullptr;  // that of the thread which launches now
  change(host, team.threads[first].fiber);
  for (int i = 0; i < team.count; i++) {
    if (overran(team.threads[i].fiber) && !outcome.failed) {
      outcome.failed = true;
      outcome.fault = Fault::StackOverrun;
      outcome.text = "a thread needs more than " + std::to_string(stack_bytes) + " bytes of stack";
    }
    team.threads[i].fiber.abandoned = outcome.failed;
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
  for (uint64_t i = 0; i < n && !outcome.failed; i++) {
    uint64_t j = config.order == Order::Reverse ? n - 1 - i : (start + i * step) % n;
    here.block = {static_cast<unsigned>(j % grid.x), static_cast<unsigned>(j / grid.x % grid.y),
                  static_cast<unsigned>(j / (uint64_t{grid.x} * grid.y))};
    run_block();
  }
}

// Bytes of shared memory a block can have, static arrays included.
size_t limit_of(const Launch& l) { return l.leave ? config.shared_limit : size_t{48} << 10; }

std::mutex one_launch;  // the machine is one for the process

void run(const Launch& launch) {
  std::lock_guard lock(one_launch);
  running = &launch;
  here.block_size = launch.block;
  here.grid_size = launch.grid;
  team.count = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  outcome.failed = false;
  seed_schedule(config.seed * 0x9e3779b97f4a7c15u + launch_count + 1);
  launch_count++;
  block.first_of_launch = block.number + 1;
  block.arguments = launch.arguments.get();
  block.argument_bytes = launch.argument_bytes;
  block.dynamic_bytes = launch.shared;
  block.shared_limit = limit_of(launch);
  run_grid(launch.grid);
  if (outcome.failed) throw Failure(outcome.fault, outcome.text);
}

void check_launch(const Launch& l) {
  uint64_t size = uint64_t{l.block.x} * l.block.y * l.block.z;
  bool fits = size > 0 && size <= max_threads && size % 32 == 0 && l.shared <= limit_of(l) &&
              l.grid.x > 0 && l.grid.y > 0 && l.grid.z > 0 && l.grid.x <= 0x7fffffffu &&
              l.grid.y <= 65535 && l.grid.z <= 65535;
  if (fits) return;
  std::ostringstream what;
  what << "launch refused: " << l.name << " with grid " << uint3{l.grid.x, l.grid.y, l.grid.z}
       << ", block " << uint3{l.block.x, l.block.y, l.block.z} << ", " << l.shared
       << " bytes of shared memory";
  throw Failure(Fault::Launch, what.str());
}

}  // namespace

void launch(Launch launch, cudaStream_t stream) {
  check_launch(launch);
  const char* name = launch.name;
  enqueue(stream, name, [launch = std::move(launch)] { run(launch); });
}

size_t launches() { return launch_count; }

}  // namespace simt
