#include "scratch.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace protea {
namespace {

std::atomic<size_t> total{0};

struct Buffers {
  std::array<void*, scratch_slots> data{};
  std::array<size_t, scratch_slots> size{};
  ~Buffers() {
    for (int i = 0; i < scratch_slots; i++) {
      total -= size[i];
      std::free(data[i]);
    }
  }
};

}  // namespace

void* scratch_bytes(int slot, size_t bytes) {
  thread_local Buffers buffers;
  void*& data = buffers.data[slot];
  size_t& size = buffers.size[slot];
  if (bytes > size) {
    std::free(data);
    total -= size;
    size = (bytes + 4095) / 4096 * 4096;
    data = std::aligned_alloc(4096, size);
    if (!data) {
      size = 0;
      throw std::bad_alloc();
    }
    total += size;
  }
  return data;
}

void trim_heap() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

size_t scratch_in_use() { return total; }

}  // namespace protea
