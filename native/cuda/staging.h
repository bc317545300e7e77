#pragma once
#include <algorithm>
#include <bit>
#include <memory>
#include <mutex>
#include <vector>

#include "gpu.h"

namespace protea {

// Sizes that vary from step to step settle after a few: at most an eighth is wasted.
inline size_t in_eighths(size_t bytes, size_t least) {
  size_t unit = std::max(least, std::bit_floor(bytes) / 8);
  return (bytes + unit - 1) / unit * unit;
}

// Pinned memory for copies, kept for reuse. A buffer is free again when the copy it served is done.
class Staging {
 public:
  struct Buffer {
    void* data = nullptr;
    size_t bytes = 0;
    cudaEvent_t served = nullptr;  // recorded behind its last copy
    bool used = false;
  };
  ~Staging();
  std::shared_ptr<Buffer> take(size_t bytes);
  size_t total() const { return total_; }

 private:
  Buffer* find(size_t bytes);
  std::mutex mutex_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  size_t total_ = 0;
};

}  // namespace protea
