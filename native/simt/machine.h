#pragma once
// The machine under simt.h: fibers, barriers, warps, shared memory, schedules.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
typedef struct CUstream_st* cudaStream_t;

namespace simt {

enum class Fault {
  Race,         // two threads, one of them writing, and nothing that orders them
  Unwritten,    // shared memory is read that this block never wrote
  InFlight,     // the target of an asynchronous copy is used before its wait
  Barrier,      // not all threads reach one barrier
  Collective,   // not all lanes reach one collective
  Deadlock,     // threads wait for each other
  Wild,         // an address of no device allocation, or beyond the end of one
  Misaligned,   // an address that the instruction refuses
  Launch,       // a grid, block or amount of shared memory the device refuses
  StackOverrun  // a thread needs more stack than it has
};
const char* name_of(Fault fault);

struct Failure : std::runtime_error {
  Failure(Fault fault, const std::string& text) : std::runtime_error(text), fault(fault) {}
  Fault fault;
};
// Inside a kernel: ends the launch, and the host's call throws.
[[noreturn]] void fail(Fault fault, const std::string& text);

// Which ready thread runs next, and in which order blocks run. Priority ranks the warps of a block
// at random, so that one is far ahead of another: the order that finds missing barriers.
enum class Order { Forward, Reverse, Random, Priority };

// When the work of a stream runs: as it is queued, only when something waits for it, or now and
// then, so that one stream is far ahead of another: what finds missing waits between streams.
enum class Streams { AtOnce, Lazy, Wander };

enum class Driver { Ready, None, Old, NoDevice, NoImage };

// A place in the sources; headers are known by their name, whoever includes them.
struct Site {
  const char* file = "";
  int line = 0;
  const char* name() const;
  bool operator==(const Site& other) const;
  bool operator<(const Site& other) const;
};

// Set by tests, or from Node by the environment: PROTEA_SIMT="order=priority,seed=7,lazy".
struct Config {
  Order order = Order::Forward;
  uint64_t seed = 1;
  bool defer_copies = true;  // asynchronous copies land at their wait, not at once
  Streams streams = Streams::AtOnce;
  long fail_allocation = 0;  // the n-th cudaMalloc from now fails; 0: none
  bool fail_after = false;   // and all after it
  Driver driver = Driver::Ready;
  size_t shared_limit = 227 << 10;  // bytes of shared memory a block can have
  Site skip = {};  // a barrier, warp barrier or wait that is left out, as if it were not written
};
extern Config config;

struct Here {
  uint3 thread, block;
  dim3 block_size, grid_size;
};
extern Here here;

struct Launch {
  const char* name;
  dim3 grid, block;
  size_t shared;                          // bytes of dynamic shared memory
  bool leave;                             // may have more than 48 KiB of shared memory
  std::shared_ptr<const void> arguments;  // all the kernel may read on the host's side
  size_t argument_bytes;
  void (*thread)(const void* arguments);
};
void launch(Launch launch, cudaStream_t stream);
size_t launches();  // since the start
// Barriers, warp barriers and waits that were reached since the last call.
std::set<Site> visited_sites();

void barrier(Site site);

enum class Collective { Sync, Shuffle, Ballot, Matrix, Multiply };
constexpr size_t slot_bytes = 32;
using Slots = const unsigned char (*)[slot_bytes];
// Waits for all 32 lanes and returns what each gave; valid until the lane's next but one call.
Slots exchange(Collective kind, const void* mine, size_t bytes, Site site);
void check_mask(unsigned mask, Site site);
void sync_warp(Site site);

// The block's array named by `key`, the same for all its threads; filled with NaN at the start.
void* shared(const void* key, size_t bytes);
// Array number `index` carved out of the launch's dynamic shared memory.
void* carve(int index, size_t bytes);

void async_copy(void* to, const void* from, size_t bytes, size_t valid, Site site);
void async_commit();
void async_wait(int keep, Site site);

// --- the race check (races.cpp); without instrumented kernels only `touch*` calls reach it
void touch(const void* at, size_t bytes, bool write);
void touch_atomic(const void* at, size_t bytes);
void in_flight(const void* at, size_t bytes, bool on);
bool races_checked();  // a kernel file was instrumented
void device_region(const void* at, size_t bytes);
void device_region_gone(const void* at);
// Not instrumented, whatever the file that uses them.
void copy_raw(void* to, const void* from, size_t bytes);
template <class T>
T load_raw(const T* at) {
  T value;
  copy_raw(&value, at, sizeof value);
  return value;
}
template <class T>
void store_raw(T* at, T value) {
  copy_raw(at, &value, sizeof value);
}

}  // namespace simt
