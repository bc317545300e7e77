// The race check: for every byte a kernel touches, who wrote it last and who read it since. A
// kernel file compiled with -fsanitize=thread, but linked with the functions at the end of this
// file in place of the sanitizer's library, tells of every load and store. Two accesses are ordered
// by a barrier between them, by a warp barrier when both are of one warp, or by a launch; shuffles
// order nothing.
#include <map>
#include <unordered_map>

#include "threads.h"

namespace simt {
namespace {

bool instrumented = false;

constexpr int16_t many = -2;
constexpr uint32_t several_blocks = ~uint32_t{0};  // an epoch that no barrier ends

struct Access {
  uint32_t block = 0, epoch = 0, warp_epoch = 0;
  int16_t thread = -1, warp = -1;  // `many`: several since the last write
  bool atomic = false;
};

struct Cell {
  Access write, read;
  bool in_flight = false;
};

struct Page {
  Cell cells[256];
};

std::unordered_map<uintptr_t, std::unique_ptr<Page>> pages;
uintptr_t last_page = ~uintptr_t{0};
Page* last_found = nullptr;
std::map<uintptr_t, size_t> regions;  // device allocations

Cell& cell(uintptr_t at) {
  uintptr_t number = at >> 8;
  if (number != last_page) {
    auto& page = pages[number];
    if (!page) page = std::make_unique<Page>();
    last_page = number;
    last_found = page.get();
  }
  return last_found->cells[at & 255];
}

extern "C" __attribute__((visibility("hidden"))) char __ehdr_start[], _end[];

enum class Space { Private, Shared, Device, Unknown };

bool within(uintptr_t at, const void* begin, size_t bytes) {
  return at - reinterpret_cast<uintptr_t>(begin) < bytes;
}

Space space_of(uintptr_t at, size_t bytes) {
  const Fiber& fiber = team.threads[block.thread].fiber;
  if (within(at, fiber.stack, fiber.bytes)) return Space::Private;
  for (const Block::Array& array : block.arrays)
    if (within(at, array.data.get(), array.bytes))
      return within(at + bytes - 1, array.data.get(), array.bytes) ? Space::Shared : Space::Unknown;
  auto found = regions.upper_bound(at);
  if (found != regions.begin() && at - (--found)->first < found->second)
    return at + bytes <= found->first + found->second ? Space::Device : Space::Unknown;
  if (within(at, __ehdr_start, _end - __ehdr_start)) return Space::Private;
  if (within(at, block.arguments, block.argument_bytes)) return Space::Private;
  return Space::Unknown;
}

bool of_this_warp(const Access& past) { return past.warp == block.thread / 32; }

// Did `past` happen before what the running thread does now?
bool ordered(const Access& past, Space space) {
  if (past.block != block.number)
    return space == Space::Shared || past.block < block.first_of_launch;
  if (past.epoch < block.epoch) return true;
  if (past.thread == block.thread) return true;
  return of_this_warp(past) && past.warp_epoch < block.warp_epochs[block.thread / 32];
}

Access now(bool atomic) {
  auto thread = static_cast<int16_t>(block.thread);
  auto warp = static_cast<int16_t>(thread / 32);
  return {block.number, block.epoch, block.warp_epochs[warp], thread, warp, atomic};
}

// Joins a read with those since the last write that are not ordered before it.
void note_read(Access& read, Space space) {
  Access mine = now(false);
  if (read.block && !ordered(read, space)) {
    bool blocks = read.block != mine.block || read.epoch == several_blocks;
    if (blocks) mine.epoch = several_blocks;
    if (blocks || read.warp != mine.warp) mine.warp = many;
    mine.thread = many;
  }
  read = mine;
}

// From here on nothing is checked: the linker may have taken the string functions of an
// instrumented file.
[[noreturn]] void stop(Fault fault, const char* what) {
  block.failing = true;
  fail(fault, what);
}

void complain(Fault fault, const char* what, const Access& past) {
  block.failing = true;
  std::string who = past.thread >= 0 ? "thread " + std::to_string(past.thread) : "several threads";
  fail(fault, std::string(what) + " " + who + " of block number " + std::to_string(past.block));
}

void check_cell(Cell& at, bool write, bool atomic, Space space) {
  if (at.in_flight) stop(Fault::InFlight, "the copy's target is used before its wait");
  bool both_atomic = atomic && at.write.atomic;
  if (at.write.block && !both_atomic && !ordered(at.write, space))
    complain(Fault::Race, write ? "overwrites what was written by" : "reads what was written by",
             at.write);
  if (write && at.read.block && !ordered(at.read, space) && !atomic)
    complain(Fault::Race, "overwrites what was read by", at.read);
  if (!write && space == Space::Shared && at.write.block != block.number)
    stop(Fault::Unwritten, "no thread of this block has written there");
}

void access(const void* address, size_t bytes, bool write, bool atomic) {
  if (!block.running || block.failing) return;
  auto at = reinterpret_cast<uintptr_t>(address);
  Space space = space_of(at, bytes);
  if (space == Space::Private) return;
  if (space == Space::Unknown) {
    block.failing = true;
    fail(Fault::Wild, std::string(write ? "writes " : "reads ") + std::to_string(bytes) +
                          " bytes outside shared and device memory");
  }
  for (size_t i = 0; i < bytes; i++) {
    Cell& byte = cell(at + i);
    check_cell(byte, write, atomic, space);
    if (write)
      byte.write = now(atomic);
    else
      note_read(byte.read, space);
  }
}

}  // namespace

void touch(const void* at, size_t bytes, bool write) {
  if (instrumented) access(at, bytes, write, false);
}

void touch_atomic(const void* at, size_t bytes) {
  if (instrumented) access(at, bytes, true, true);
}

void in_flight(const void* at, size_t bytes, bool on) {
  if (!instrumented) return;
  for (size_t i = 0; i < bytes; i++) cell(reinterpret_cast<uintptr_t>(at) + i).in_flight = on;
}

bool races_checked() { return instrumented; }

void device_region(const void* at, size_t bytes) {
  regions[reinterpret_cast<uintptr_t>(at)] = bytes;
}

void device_region_gone(const void* at) {
  auto found = regions.find(reinterpret_cast<uintptr_t>(at));
  for (uintptr_t page = found->first >> 8; page <= (found->first + found->second) >> 8; page++)
    pages.erase(page);
  last_page = ~uintptr_t{0};
  regions.erase(found);
}

}  // namespace simt

// What the compiler calls for -fsanitize=thread, unless all of the program is checked so.
#if !defined(__SANITIZE_THREAD__)
#define SIMT_HOOK(n)                                                   \
  void __tsan_read##n(void* p) { simt::touch(p, n, false); }           \
  void __tsan_write##n(void* p) { simt::touch(p, n, true); }           \
  void __tsan_unaligned_read##n(void* p) { simt::touch(p, n, false); } \
  void __tsan_unaligned_write##n(void* p) { simt::touch(p, n, true); } \
  void __tsan_volatile_read##n(void* p) { simt::touch(p, n, false); }  \
  void __tsan_volatile_write##n(void* p) { simt::touch(p, n, true); }

extern "C" {
SIMT_HOOK(1)
SIMT_HOOK(2)
SIMT_HOOK(4)
SIMT_HOOK(8)
SIMT_HOOK(16)
void __tsan_read_range(void* p, unsigned long n) { simt::touch(p, n, false); }
void __tsan_write_range(void* p, unsigned long n) { simt::touch(p, n, true); }
void __tsan_init() { simt::instrumented = true; }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
// Host code of kernel files: counts of shared pointers, first use of local statics.
int __tsan_atomic32_fetch_add(volatile int* at, int value, int) {
  return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
}
signed char __tsan_atomic8_load(const volatile signed char* at, int) {
  return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}
}
#endif
