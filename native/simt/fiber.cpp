#include "fiber.h"

#include <sys/mman.h>

#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#elif defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace simt {
namespace {

constexpr size_t canary_bytes = 32;
constexpr char canary = 0x5a;

#if defined(__SANITIZE_ADDRESS__)
Fiber* leaving = nullptr;

void before(Fiber& from, Fiber& to) {
  leaving = &from;
  __sanitizer_start_switch_fiber(&from.sanitizer, to.stack, to.bytes);
}

// The host's stack is known once somebody has left it.
void after(Fiber* self) {
  const void* bottom;
  size_t bytes;
  __sanitizer_finish_switch_fiber(self ? self->sanitizer : nullptr, &bottom, &bytes);
  if (leaving->stack) return;
  leaving->stack = static_cast<char*>(const_cast<void*>(bottom));
  leaving->bytes = bytes;
}
#elif defined(__SANITIZE_THREAD__)
// A fiber without a stack of its own is the thread that launches.
SIMT_UNSEEN void before(Fiber& from, Fiber& to) {
  if (!from.stack) from.sanitizer = __tsan_get_current_fiber();
  if (!to.sanitizer) to.sanitizer = __tsan_create_fiber(0);
  __tsan_switch_to_fiber(to.sanitizer, 0);
}
void after(Fiber*) {}
#else
void before(Fiber&, Fiber&) {}
void after(Fiber*) {}
#endif

void make_stack(Fiber& fiber) {
  void* made = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  fiber.stack = static_cast<char*>(made);
  fiber.bytes = stack_bytes;
}

}  // namespace

#if defined(__x86_64__)
// Saves the registers a callee must keep on the old stack, and takes them from the new one.
extern "C" void simt_change(void** from, void* to);
asm(R"(
.text
.globl simt_change
.hidden simt_change
.type simt_change, @function
simt_change:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_change, . - simt_change
)");

static void arrange(Fiber& fiber, void (*entry)()) {
  auto** top = reinterpret_cast<void**>(fiber.stack + fiber.bytes - 64);
  *--top = nullptr;  // keeps the stack aligned as after a call
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  fiber.resume = top;
}

static void swap(Fiber& from, Fiber& to) { simt_change(&from.resume, to.resume); }
#else
static void arrange(Fiber& fiber, void (*entry)()) {
  if (!fiber.resume) fiber.resume = new ucontext_t;
  auto* context = static_cast<ucontext_t*>(fiber.resume);
  getcontext(context);
  context->uc_stack.ss_sp = fiber.stack;
  context->uc_stack.ss_size = fiber.bytes;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
}

static void swap(Fiber& from, Fiber& to) {
  if (!from.resume) from.resume = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(from.resume), static_cast<ucontext_t*>(to.resume));
}
#endif

void prepare(Fiber& fiber, void (*entry)()) {
  if (!fiber.stack) make_stack(fiber);
#if defined(__SANITIZE_ADDRESS__)
  // The frames of the thread that used this stack before; an abandoned one may have left more.
  size_t used = fiber.abandoned ? fiber.bytes : size_t{16} << 10;
  __asan_unpoison_memory_region(fiber.stack + fiber.bytes - used, used);
#endif
  fiber.abandoned = false;
  std::memset(fiber.stack, canary, canary_bytes);
#if defined(__SANITIZE_ADDRESS__)
  fiber.sanitizer = nullptr;
#endif
  arrange(fiber, entry);
}

SIMT_UNSEEN void change(Fiber& from, Fiber& to) {
  before(from, to);
  swap(from, to);
  after(&from);
}

void entered() { after(nullptr); }

bool overran(const Fiber& fiber) {
  for (size_t i = 0; i < canary_bytes; i++)
    if (fiber.stack[i] != canary) return true;
  return false;
}

}  // namespace simt
