#pragma once
#include <array>

#include "../core/accelerator.h"
#include "../core/op.h"
#include "gpu.h"
#include "landing.h"
#include "recorder.h"
#include "staging.h"

namespace protea {

namespace gpu {
class Blas;
}

// A kernel cannot throw: the first one that meets bad data leaves a note, and the next read of a
// value throws it.
struct Fault {
  enum Kind : int { None, GatherIndex };
  int kind, value, limit;
};

// One GPU with its streams and the working memory of kernels.
class Gpu : public Accelerator {
 public:
  Gpu();
  ~Gpu() override;
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  static Gpu& of(const Run& run) { return static_cast<Gpu&>(*run.accelerator); }

  Blocks blocks() const override;
  std::shared_ptr<void> stage(const void* data, size_t bytes) override;
  void upload(void* to, const std::shared_ptr<void>& staged, size_t bytes) override;
  std::function<void()> download(void* to, const void* from, size_t bytes) override;
  void fill(void* to, unsigned char value, size_t bytes) override;
  void add(const Array& sum, const Array& term) override;
  void round(void* to, const Array& from) override;
  void copy(void* to, const void* from, size_t bytes) override;
  void finish() override;
  void set_precision(Precision precision) override { precision_ = precision; }
  void set_graphs(bool on) override { recorder_->set_on(on); }
  void op_ended() override { recorder_->op_ended(); }
  size_t working_bytes() const override;

  // For kernels and what else may be recorded (Recorder::stream).
  cudaStream_t stream(uint64_t what) { return recorder_->stream(what); }
  // For what may not.
  cudaStream_t direct_stream() {
    recorder_->cut();
    return stream_;
  }
  const Recorder& recorder() const { return *recorder_; }
  int processors() const { return processors_; }
  size_t shared_limit() const { return shared_limit_; }  // bytes a block can have
  size_t cache_bytes() const { return cache_bytes_; }    // of the card's second cache
  Fault* fault() const { return fault_; }
  Precision precision() const { return precision_; }
  gpu::Blas& blas();  // opened at the first product

  // Working memory: one growing buffer a slot, kept between calls. Slots 0 ... 7 are the op's; each
  // helper that an op calls has slots of its own. Contents are undefined at entry.
  enum HelperSlot : int {
    column_slot = 8,  // sums.cuh
    total_slot,
    halves_slot,  // nearest.cu
    rough_slot,
    product_slot,    // gemm.cu
    log_sums_slot,   // log_sums.cu
    workspace_slot,  // blas.cu
    left_slot,
    right_slot,
    trial_slot,
    bias_slot,
    slots
  };
  template <class T>
  T* scratch(int slot, size_t count) {
    return static_cast<T*>(scratch_bytes(slot, count * sizeof(T)));
  }

  // Copies a few numbers of the host to the device, in order with kernels; valid until the slot is
  // used again.
  template <class T>
  T* constants(int slot, std::span<const T> values) {
    T* to = scratch<T>(slot, values.size());
    send(to, values.data(), values.size_bytes());
    return to;
  }

 private:
  void* scratch_bytes(int slot, size_t bytes);
  void send(void* to, const void* from, size_t bytes);
  std::shared_ptr<Staging::Buffer> depart(const void* from, size_t bytes);

  struct Working {
    void* data = nullptr;
    size_t bytes = 0;
  };
  cudaStream_t stream_ = nullptr;
  int processors_ = 0;
  size_t shared_limit_ = 0, cache_bytes_ = 0;
  Precision precision_ = Precision::F32;
  Fault* fault_ = nullptr;
  std::array<Working, slots> working_;
  Staging staging_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<Landing> landing_;
  std::unique_ptr<gpu::Blas> blas_;
};

namespace gpu {

template <class... P, class... A>
void launch_on(Gpu& gpu, const char* name, void (*kernel)(P...), const Grid& grid, A... arguments) {
  check(grid.shared <= gpu.shared_limit(), Code::Unsupported, "[cuda] ", name, " needs ",
        grid.shared, " bytes of shared memory, this card gives a block ", gpu.shared_limit());
  launch(name, kernel, grid, gpu.stream(reinterpret_cast<uint64_t>(kernel)), arguments...);
}

// Blocks of `threads` for `count` elements, one each, or less for a grid-stride loop.
inline Grid cover(int64_t count, int threads = 256, int64_t most = 1 << 16) {
  int64_t blocks = ceil_div(count, threads);
  if (blocks > most) blocks = most;
  return {dim3(static_cast<unsigned>(blocks > 0 ? blocks : 1)),
          dim3(static_cast<unsigned>(threads))};
}

// A warp for each of `count`, eight a block.
inline Grid a_warp_each(int64_t count) {
  return {dim3(static_cast<unsigned>(ceil_div(count, 8))), dim3(256)};
}

// for (i : each(n)): a grid-stride loop over n elements.
GPU_DEVICE int64_t first_index() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
GPU_DEVICE int64_t index_stride() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// Element i of a gradient becomes, or grows by, `value`.
GPU_DEVICE void put(float* to, int64_t i, float value, bool accumulate) {
  to[i] = accumulate ? to[i] + value : value;
}

}  // namespace gpu
}  // namespace protea
