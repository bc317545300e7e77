#pragma once
#include <cstddef>

namespace protea {

// Working memory of a kernel: one growing, 64-byte aligned buffer per thread and slot, kept between
// calls. A kernel uses slots 0..7; GEMM packing uses its own. Contents are undefined at entry.
constexpr int scratch_slots = 16;
constexpr int first_gemm_slot = 8;

void* scratch_bytes(int slot, size_t bytes);

template <class T>
T* scratch(int slot, size_t count) {
  return static_cast<T*>(scratch_bytes(slot, count * sizeof(T)));
}

// Gives freed memory back to the system, after work that took much of it for a short while: the
// allocator would keep it for later.
void trim_heap();

// Bytes held by all threads, for memory reports.
size_t scratch_in_use();

}  // namespace protea
