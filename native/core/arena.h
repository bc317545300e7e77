#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace protea {

class Queue;

struct MemoryUse {
  size_t live = 0;     // bytes held by tensors
  size_t cached = 0;   // bytes kept for reuse
  size_t peak = 0;     // largest `live` since reset_peak()
  size_t tensors = 0;  // live storages
};

// Where an arena gets its blocks from; `take` returns null when there is no memory.
struct Blocks {
  void* (*take)(size_t bytes);
  void (*give)(void* block);
};
Blocks system_blocks();

// A caching allocator for one device. Shapes repeat from step to step, so a freed block is kept and
// given out again. Used from the owning thread, but for trim; a block may be given out while queued
// work still reads it, because the queue runs in order and the new owner's work comes later.
class Arena {
 public:
  // `queue` has the work that uses the blocks.
  explicit Arena(const Queue& queue, Blocks source = system_blocks())
      : queue_(queue), source_(source) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  // Throws Code::OutOfMemory, naming the bytes asked and in use.
  void* allocate(size_t bytes);
  void release(void* block, size_t bytes) noexcept;

  // Gives cached blocks back to the system, but for those that queued work may still use. A device
  // must have finished what was launched. From any thread.
  void trim() noexcept;

  // 0: no limit. A limit counts live and cached bytes.
  void set_limit(size_t bytes) { limit_ = bytes; }

  // For tests: every block has the size asked for and none is kept, so that a checker of memory
  // sees both its ends and its end of life. Only while no queued work outlives its tensors.
  void set_exact(bool on) { exact_ = on; }

  MemoryUse use() const;
  void reset_peak();

 private:
  // A cached block: work that uses it was queued up to `place`.
  struct Kept {
    void* block;
    uint64_t place;
  };
  size_t round_up(size_t bytes) const;
  void give_back(uint64_t ended) noexcept;

  const Queue& queue_;
  Blocks source_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<Kept>> free_;
  MemoryUse use_;
  size_t limit_ = 0;
  bool exact_ = false;
};

}  // namespace protea
