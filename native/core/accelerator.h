#pragma once
#include <functional>
#include <memory>
#include <new>
#include <string>

#include "arena.h"
#include "tensor.h"

namespace protea {

// What products are computed in: f32 with f32 operands, or tensor cores with operands rounded to
// bf16 and sums in f32.
enum class Precision { F32, BF16 };

// What the runtime asks of a GPU. The CUDA build defines it in native/cuda; a CPU-only build has
// none, and open_accelerator() says so.
class Accelerator {
 public:
  virtual ~Accelerator() = default;

  // Called by the owning thread, while queued work runs.
  virtual Blocks blocks() const = 0;
  // A copy of the caller's bytes that `upload` may read later; nothing waits for the device.
  virtual std::shared_ptr<void> stage(const void* data, size_t bytes) = 0;

  // Called by the queue's thread, in order with kernels. Only finish waits, and download for what
  // is large.
  virtual void upload(void* to, const std::shared_ptr<void>& staged, size_t bytes) = 0;
  // Begins a copy to the host. What is returned waits for it, on any thread: `to` is then filled,
  // or it throws what kernels before it have found wrong.
  virtual std::function<void()> download(void* to, const void* from, size_t bytes) = 0;
  virtual void fill(void* to, unsigned char value, size_t bytes) = 0;
  virtual void add(const Array& sum, const Array& term) = 0;        // sum += term
  virtual void round(void* to, const Array& from) = 0;              // as Rounded, from f32
  virtual void copy(void* to, const void* from, size_t bytes) = 0;  // on the device
  virtual void finish() = 0;
  // For the kernels launched from here on.
  virtual void set_precision(Precision precision) = 0;
  // On: work is recorded and launched in stretches of ops, as CUDA graphs.
  virtual void set_graphs(bool on) = 0;
  virtual void op_ended() = 0;  // a stretch may end here

  virtual size_t working_bytes() const = 0;  // kernels' working memory and staging

  // Called on the queue's thread where working memory is short, with the device's work finished: it
  // gives memory back, and working memory is asked for once more.
  void when_short(std::function<void()> give_back) { give_back_ = std::move(give_back); }

 protected:
  std::function<void()> give_back_;
};

// Runs an op's kernels on the queue's thread. An error of memory that they are short of names the
// op.
template <class Work>
void run_op(const char* op, Accelerator* on, const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    if (error.code != Code::OutOfMemory) throw;
    throw Error(error.code, std::string("[") + op + "] " + error.what());
  } catch (const std::bad_alloc&) {
    throw Error(Code::OutOfMemory,
                std::string("[") + op + "] cpu out of memory: a kernel's working memory");
  }
  if (on) on->op_ended();
}

// The GPU, ready to run kernels. Throws Code::Device with the reason and the remedy.
std::unique_ptr<Accelerator> open_accelerator();

// What is found, step by step; nothing is kept open.
struct AcceleratorReport {
  bool built = false;  // this build has CUDA kernels
  bool ready = false;  // a kernel ran and gave the right result
  bool emulated = false;
  std::string reason;  // why not ready, or what runs
  std::string remedy;  // empty when ready
  std::string name, capability;
  std::string products;         // what makes matrix products
  std::string driver, runtime;  // versions of CUDA: what the driver supports, what this build needs
  size_t memory = 0;
  int processors = 0;
};
AcceleratorReport inspect_accelerator();

}  // namespace protea
