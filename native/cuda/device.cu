#include "device.h"

#include <algorithm>
#include <cstring>

#include "blas.h"
#include "map.cuh"
#include "rounded.cuh"
#include "stored.cuh"

namespace protea {
namespace {

using gpu::check_cuda;

constexpr ptrdiff_t piece = ptrdiff_t{8} << 20;  // of a download
constexpr size_t large = size_t{1} << 20;        // copies that are made beside the work
// What is recorded beside kernels, which are told apart by their functions.
enum : uint64_t { an_upload = 1, a_copy, a_fill };
#ifdef __CUDACC__
constexpr bool emulated = false;
#else
constexpr bool emulated = true;
#endif

void* take_device_block(size_t bytes) {
  void* block = nullptr;
  if (cudaMalloc(&block, bytes) == cudaSuccess) return block;
  cudaGetLastError();  // the arena reports it
  return nullptr;
}

void give_device_block(void* block) { cudaFree(block); }

void arrive(const Staging::Buffer& from, void* to, size_t bytes) {
  check_cuda(cudaEventSynchronize(from.served), "work on the device");
  std::copy_n(static_cast<const char*>(from.data), bytes, static_cast<char*>(to));
}

}  // namespace

Gpu::Gpu() {
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, 0), "reading the device's properties");
  processors_ = properties.multiProcessorCount;
  shared_limit_ = properties.sharedMemPerBlockOptin;
  cache_bytes_ = static_cast<size_t>(properties.l2CacheSize);
  check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
  recorder_ = std::make_unique<Recorder>(stream_);
  landing_ = std::make_unique<Landing>(stream_);
  void* fault = nullptr;
  check_cuda(cudaMalloc(&fault, sizeof(Fault)), "allocating");
  fault_ = static_cast<Fault*>(fault);
  fill(fault_, 0, sizeof(Fault));
}

Gpu::~Gpu() {
  recorder_.reset();  // waits for the stream
  blas_.reset();
  landing_.reset();
  for (Working& working : working_) cudaFree(working.data);
  cudaFree(fault_);
  cudaStreamDestroy(stream_);
}

gpu::Blas& Gpu::blas() {
  if (!blas_) blas_ = std::make_unique<gpu::Blas>(*this);
  return *blas_;
}

Blocks Gpu::blocks() const { return {take_device_block, give_device_block}; }

std::shared_ptr<void> Gpu::stage(const void* data, size_t bytes) {
  std::shared_ptr<Staging::Buffer> buffer = staging_.take(bytes);
  std::copy_n(static_cast<const char*>(data), bytes, static_cast<char*>(buffer->data));
  return buffer;
}

void Gpu::upload(void* to, const std::shared_ptr<void>& staged, size_t bytes) {
  auto buffer = std::static_pointer_cast<Staging::Buffer>(staged);
  if (bytes >= large) {
    recorder_->cut();
    return landing_->bring(to, *buffer, bytes);
  }
  check_cuda(cudaMemcpyAsync(to, buffer->data, bytes, cudaMemcpyHostToDevice, stream(an_upload)),
             "a copy to the device");
  recorder_->serves(buffer);
}

void Gpu::send(void* to, const void* from, size_t bytes) { upload(to, stage(from, bytes), bytes); }

// A copy to pinned memory, which is there when its event has passed.
std::shared_ptr<Staging::Buffer> Gpu::depart(const void* from, size_t bytes) {
  std::shared_ptr<Staging::Buffer> buffer = staging_.take(bytes);
  check_cuda(cudaMemcpyAsync(buffer->data, from, bytes, cudaMemcpyDeviceToHost, stream_),
             "a copy from the device");
  check_cuda(cudaEventRecord(buffer->served, stream_), "an event");
  return buffer;
}

// Of what is large only the last piece is left on its way. The note of a fault comes behind it, and
// the next one can be left.
std::function<void()> Gpu::download(void* to, const void* from, size_t bytes) {
  recorder_->cut();
  auto *target = static_cast<char*>(to), *end = target + bytes;
  auto* source = static_cast<const char*>(from);
  for (; end - target > piece; target += piece, source += piece)
    arrive(*depart(source, piece), target, piece);
  auto last = depart(source, end - target), note = depart(fault_, sizeof(Fault));
  check_cuda(cudaMemsetAsync(fault_, 0, sizeof(Fault), stream_), "filling memory");
  return [=] {
    arrive(*last, target, end - target);
    Fault found;
    arrive(*note, &found, sizeof found);
    check(found.kind == Fault::None, Code::Shape, "[gather_rows] index ", found.value,
          " is not in [0, ", found.limit, ")");
  };
}

void Gpu::fill(void* to, unsigned char value, size_t bytes) {
  check_cuda(cudaMemsetAsync(to, value, bytes, stream(a_fill)), "filling memory");
}

void Gpu::add(const Array& sum, const Array& term) {
  gpu::with_stored(sum, [&]<class T>() {
    gpu::store(*this, gpu::Same<T>{term.as<T>()}, sum.as<T>(), sum.size(), true);
  });
}

void Gpu::round(void* to, const Array& from) {
  int64_t rows = from.shape.rows(), columns = from.shape.rank() ? from.dim(-1) : 1;
  gpu::round_rows(*this, gpu::View{from.as<float>(), rows, columns, columns, 1},
                  static_cast<gpu::bf16*>(to), rows, rounded_row(columns));
}

void Gpu::copy(void* to, const void* from, size_t bytes) {
  check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream(a_copy)),
             "a copy on the device");
}

void Gpu::finish() {
  recorder_->cut();
  check_cuda(cudaStreamSynchronize(stream_), "work on the device");
}

size_t Gpu::working_bytes() const {
  size_t sum = staging_.total() + landing_->total();
  for (const Working& working : working_) sum += working.bytes;
  return sum;
}

// Growing waits for the device: the old buffer may still be in use. Sizes repeat from step to step.
void* Gpu::scratch_bytes(int slot, size_t bytes) {
  Working& working = working_[slot];
  // Emulated, a buffer is as large as asked, so that AddressSanitizer sees its end.
  bool fits = emulated ? bytes == working.bytes : bytes <= working.bytes;
  if (working.data && fits) return working.data;
  finish();
  cudaFree(working.data);
  working = {};
  size_t size = emulated ? bytes : in_eighths(bytes, 65536);
  working.data = take_device_block(size);
  if (!working.data && give_back_) {
    give_back_();
    working.data = take_device_block(size);
  }
  check(working.data, Code::OutOfMemory, "cuda out of memory: ", size,
        " bytes of a kernel's working memory asked, ", working_bytes(), " in use");
  working.bytes = size;
  return working.data;
}

}  // namespace protea
