#pragma once
#include <vector>

#include "accelerator.h"
#include "arena.h"
#include "queue.h"
#include "tape.h"

namespace protea {

// Runs ops on the device their inputs are on: checks and allocates at once, on the caller's thread,
// and queues the work. Knows no op and no Node. All methods belong to one thread.
class Runtime {
 public:
  ~Runtime();

  // `asking`: the op that an out-of-memory error names.
  Tensor make(const Shape& shape, Dtype dtype, Device device = Device::Cpu,
              const char* asking = "tensor");

  // Queues a copy of the caller's bytes into `tensor`.
  void write(const Tensor& tensor, const void* bytes);
  // Queues a copy of the tensor's bytes to `to`, which must live until the next report.
  void read(const Tensor& tensor, void* to);

  // Runs behind all earlier work and reads, on a thread of the runtime, and receives the first
  // error. Later work does not wait for it: a device goes on while it is read.
  void report(Queue::Report report);
  // Blocks until then and rethrows the error; for tests without Node.
  void wait();

  // Ends all threads: what is queued is dropped.
  void stop();

  // Throws on bad arguments; errors of the work itself arrive at the next report of the queue.
  std::vector<Tensor> call(const Op& op, std::vector<Tensor> in, Attrs attrs);

  // The same values under another shape; no copy.
  Tensor reshape(const Tensor& x, const Shape& shape);

  // Walks the tape backwards once from a scalar and forgets it. Returns one gradient per tensor of
  // `wrt`, empty where none arrived.
  std::vector<Tensor> backward(const Tensor& loss, std::span<const Tensor> wrt);

  // Fills newly made tensors with NaN, so that a kernel which reads before it writes is noticed.
  void set_poison(bool on) { poison_ = on; }

  // What products on the GPU are computed in, for the work queued from here on.
  void set_precision(Precision precision);

  // Whether work on the GPU is launched as CUDA graphs; results are the same.
  void set_graphs(bool on);

  // Opens the GPU at first use; throws Code::Device when there is none.
  Accelerator& accelerator();
  bool has_accelerator() const { return accelerator_ != nullptr; }

  Arena& arena(Device device = Device::Cpu);
  Queue& queue() { return queue_; }
  Tape& tape() { return tape_; }

 private:
  using Gradients = std::unordered_map<uint64_t, Tensor>;     // by the id of their tensor
  using Repeated = std::vector<std::pair<uint64_t, Tensor>>;  // of tensors given twice to one op

  std::shared_ptr<Storage> storage(size_t bytes, Device device, const char* asking);
  Accelerator* accelerator_for(Device device);
  void back(const Node& node, Gradients& gradients);
  void back_reshape(const Node& node, Gradients& gradients);
  std::vector<Tensor> take_upstream(const Node& node, Gradients& gradients);
  std::vector<Gradient> places(const Node& node, const Tensor& dout, Gradients& gradients,
                               Repeated& repeated);
  void round_inputs(std::span<const Tensor> in, const Outputs& outputs, const char* asking);
  Tensor shared(const Tensor& gradient, const Shape& shape);
  void own(Tensor& gradient);
  void add_into(Tensor& sum, const Tensor& term);

  // The order is the order of destruction reversed: the queue ends before the memory it uses.
  std::unique_ptr<Accelerator> accelerator_;
  Arena arena_{queue_};
  std::unique_ptr<Arena> device_arena_;
  Queue queue_;
  std::unique_ptr<Queue> arrivals_;  // waits for what is read from a device
  Tape tape_;
  uint64_t next_id_ = 1;
  bool poison_ = false;
  Precision precision_ = Precision::F32;
};

}  // namespace protea
