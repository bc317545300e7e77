#pragma once
#include <cstddef>

namespace simt {

// A stack that runs by turns with others on one host thread.
struct Fiber {
  void* resume = nullptr;  // its stack pointer while another runs
  char* stack = nullptr;
  size_t bytes = 0;
  void* sanitizer = nullptr;  // AddressSanitizer's fake stack, or ThreadSanitizer's fiber
  bool abandoned = false;     // its last call was left in the middle
};

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t stack_bytes = size_t{256} << 10;
#else
constexpr size_t stack_bytes = size_t{64} << 10;
#endif

// Of functions that are left and never returned to: ThreadSanitizer would count them as open calls.
#if defined(__SANITIZE_THREAD__)
#define SIMT_UNSEEN __attribute__((no_sanitize("thread"), noinline))
#else
#define SIMT_UNSEEN
#endif

// Gives `fiber` a fresh call of `entry`, which must never return. Its stack is made once.
void prepare(Fiber& fiber, void (*entry)());
void change(Fiber& from, Fiber& to);
// To be called first in `entry`.
void entered();
bool overran(const Fiber& fiber);

}  // namespace simt
