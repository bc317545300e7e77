// Reading from the device: what is read is the value at its place in line, though later work does
// not wait for it; large values come in pieces; errors of kernels and of the queue arrive in order.
#include <mutex>
#include <string>
#include <vector>

#include "../../core/runtime.h"
#include "arrays.h"

namespace protea {
namespace {

using test::every_schedule;
using Values = std::vector<float>;

struct Reader {
  Runtime runtime;

  Tensor made(const Values& values) {
    Tensor x =
        runtime.make({static_cast<int64_t>(values.size())}, Dtype::F32, Device::Cuda, "test");
    runtime.write(x, values.data());
    return x;
  }
  Tensor indices(std::vector<int32_t> values) {
    Tensor x =
        runtime.make({static_cast<int64_t>(values.size())}, Dtype::I32, Device::Cuda, "test");
    runtime.write(x, values.data());
    return x;
  }
  // to becomes from.
  void become(const Tensor& to, const Tensor& from) {
    Attrs attrs;
    attrs.set("momentum", {0});
    runtime.call(op("ema_update"), {to, from, {}}, attrs);
  }
  Tensor gather(const Tensor& x, int32_t row) {
    return runtime.call(op("gather_rows"), {runtime.reshape(x, {x.dim(0), 1}), indices({row})},
                        {})[0];
  }
  // The message of what went wrong before, or nothing.
  std::string error() {
    try {
      runtime.wait();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
};

// x is read, changed, read again, with no wait in between.
bool in_line() {
  constexpr size_t count = 40;
  Reader r;
  Tensor x = r.made(Values(count, 0));
  std::vector<Values> found(4, Values(count, -1));
  for (size_t i = 0; i < found.size(); i++) {
    r.become(x, r.made(Values(count, static_cast<float>(i))));
    r.runtime.set_graphs(i % 2 == 0);
    r.runtime.read(x, found[i].data());
  }
  r.runtime.wait();
  for (size_t i = 0; i < found.size(); i++)
    if (found[i] != Values(count, static_cast<float>(i))) return false;
  return true;
}

bool in_pieces() {
  Reader r;
  Values values = test::wave((size_t{17} << 20) / sizeof(float) + 3), found(values.size());
  Tensor x = r.made(values);
  r.runtime.read(x, found.data());
  r.become(x, r.made(Values(values.size(), 1)));
  r.runtime.wait();
  return found == values;
}

// A bad index is told by the next read alone; reads around it are right.
bool notes_a_fault() {
  Reader r;
  Tensor x = r.made({1, 2, 3});
  float good = 0, bad = 0, after = 0;
  r.runtime.read(r.gather(x, 1), &good);
  if (!r.error().empty()) return false;
  r.runtime.read(r.gather(x, 7), &bad);
  std::string told = r.error();
  r.runtime.read(r.gather(x, 2), &after);
  return told.find("index 7 is not in [0, 3)") != std::string::npos && r.error().empty() &&
         good == 2 && after == 3;
}

// Of a bad index and a failure of the queue behind it the first is told, and what is read behind
// both is not touched.
bool tells_the_first_error() {
  Reader r;
  Tensor x = r.made({1, 2, 3});
  float bad = 0, skipped = -1, after = 0;
  r.runtime.read(r.gather(x, 9), &bad);
  r.runtime.queue().push([] { throw Error(Code::OutOfMemory, "planted"); });
  r.runtime.read(r.gather(x, 0), &skipped);
  std::string told = r.error();
  r.runtime.read(r.gather(x, 0), &after);
  return told.find("index 9 is not in [0, 3)") != std::string::npos && skipped == -1 &&
         r.error().empty() && after == 1;
}

// Nobody reads what was asked for last, and its memory goes: what runs late would write to memory
// that is given back, which AddressSanitizer sees.
bool ends_with_work_on_its_way() {
  Reader r;
  Tensor x = r.made(Values(1000, 1));
  for (int i = 0; i < 5; i++) r.become(x, r.made(Values(1000, 2)));
  r.runtime.queue().drain();
  return true;
}

#ifndef __CUDACC__
// The marginal of one row, whose kernel needs working memory, while allocations fail once all its
// tensors are there: one of them, or all. Returns what went wrong.
std::string marginal_when_short(Reader& r, const Tensor& x, bool all) {
  Attrs attrs;
  attrs.set("temperature", {1});
  Tensor row = r.runtime.reshape(x, {1, 2});
  std::mutex made;
  made.lock();
  r.runtime.queue().push([&] {
    std::lock_guard wait(made);
    simt::config.fail_allocation = 1;
    simt::config.fail_after = all;
  });
  std::vector<Tensor> out = r.runtime.call(op("prototype_marginal"), {row, row, {}}, attrs);
  made.unlock();
  std::string text = r.error();
  simt::config.fail_allocation = 0;
  return text;
}

// Working memory that is short fails the op, whose name the error has, and the next call is right.
bool names_the_op() {
  Reader r;
  Tensor x = r.made({3, 4});
  std::string text = marginal_when_short(r, x, true);
  return text.find("[prototype_marginal] cuda out of memory: ") == 0 &&
         text.find(" bytes of a kernel's working memory asked, ") != std::string::npos &&
         marginal_when_short(r, x, false).empty();
}

// What is cached makes room for working memory, but for what later work uses.
bool working_memory_gets_what_is_cached() {
  Reader r;
  Tensor x = r.made({3, 4}), kept = r.made(Values(5000, 7));
  for (int i = 0; i < 3; i++) r.made(Values(3000 + 1000 * i, 1));
  r.error();
  const Arena& arena = r.runtime.arena(Device::Cuda);
  if (arena.use().cached == 0) return false;
  bool made = marginal_when_short(r, x, false).empty();
  Values found(5000);
  r.runtime.read(kept, found.data());
  return made && r.error().empty() && arena.use().cached < 1000 && found == Values(5000, 7);
}

// A block that work in line still uses is kept, whoever is short of memory before that.
bool keeps_what_is_in_line() {
  Reader r;
  std::mutex queued;
  queued.lock();
  Values found(1000);
  r.runtime.queue().push([&] {
    std::lock_guard wait(queued);
    r.runtime.arena(Device::Cuda).trim();
  });
  {
    Tensor x = r.made(Values(1000, 3));
    r.runtime.read(x, found.data());
  }
  size_t cached = r.runtime.arena(Device::Cuda).use().cached;
  queued.unlock();
  return r.error().empty() && found == Values(1000, 3) && cached > 0 &&
         r.runtime.arena(Device::Cuda).use().cached == cached;
}
#endif

}  // namespace

void test_reads() {
#ifndef __CUDACC__
  test::expect(names_the_op(), "working memory that is short names the op");
  test::expect(working_memory_gets_what_is_cached(), "cached memory becomes working memory");
  test::expect(keeps_what_is_in_line(), "memory that is in line is not given back");
#endif
  every_schedule("reads in line with changes", in_line);
  every_schedule("a fault is told once", notes_a_fault);
  every_schedule("the first error is told", tells_the_first_error);
  every_schedule("a runtime ends", ends_with_work_on_its_way);
  test::expect(in_pieces(), "a large value comes in pieces");
}

}  // namespace protea
