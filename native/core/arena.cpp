#include "arena.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <limits>

#include "error.h"
#include "queue.h"

namespace protea {
namespace {

constexpr size_t alignment = 64;  // one cache line, one AVX-512 register
constexpr size_t huge_page = size_t{2} << 20;

void* take(size_t bytes) {
  bool huge = bytes >= 2 * huge_page;
  void* block = std::aligned_alloc(huge ? huge_page : alignment, bytes);
  if (block && huge) madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

}  // namespace

Blocks system_blocks() { return {take, std::free}; }

Arena::~Arena() { give_back(std::numeric_limits<uint64_t>::max()); }

// Eight steps per power of two: at most an eighth is wasted and blocks are found again.
size_t Arena::round_up(size_t bytes) const {
  if (exact_) return bytes ? bytes : 1;
  size_t step = alignment;
  if (bytes > 8 * alignment) step = std::bit_floor(bytes - 1) / 8;
  if (bytes >= 2 * huge_page && step < huge_page) step = huge_page;
  size_t rounded = (bytes + step - 1) / step * step;
  return rounded ? rounded : alignment;
}

void* Arena::allocate(size_t bytes) {
  std::lock_guard lock(mutex_);
  size_t size = round_up(bytes);
  void* block = nullptr;
  auto found = free_.find(size);
  if (found != free_.end() && !found->second.empty()) {
    block = found->second.back().block;
    found->second.pop_back();
    use_.cached -= size;
  } else if (!limit_ || use_.live + use_.cached + size <= limit_) {
    block = source_.take(size);
  }
  check(block, Code::OutOfMemory, "out of memory: ", bytes, " bytes asked, ", use_.live,
        " in use, ", use_.cached, " cached", limit_ ? ", limit " : "",
        limit_ ? std::to_string(limit_) : "");
  use_.live += size;
  use_.tensors++;
  if (use_.live > use_.peak) use_.peak = use_.live;
  return block;
}

void Arena::release(void* block, size_t bytes) noexcept {
  std::lock_guard lock(mutex_);
  size_t size = round_up(bytes);
  use_.live -= size;
  if (exact_) {
    use_.tensors--;
    source_.give(block);
    return;
  }
  use_.cached += size;
  use_.tensors--;
  free_[size].push_back({block, queue_.queued()});
}

void Arena::trim() noexcept { give_back(queue_.ended()); }

void Arena::give_back(uint64_t ended) noexcept {
  std::lock_guard lock(mutex_);
  for (auto& [size, blocks] : free_)
    use_.cached -= size * std::erase_if(blocks, [&](const Kept& kept) {
                     if (kept.place > ended) return false;
                     source_.give(kept.block);
                     return true;
                   });
}

MemoryUse Arena::use() const {
  std::lock_guard lock(mutex_);
  return use_;
}

void Arena::reset_peak() {
  std::lock_guard lock(mutex_);
  use_.peak = use_.live;
}

}  // namespace protea
