#include "staging.h"

namespace protea {

using gpu::check_cuda;

Staging::~Staging() {
  for (auto& buffer : buffers_) {
    cudaEventDestroy(buffer->served);
    cudaFreeHost(buffer->data);
  }
}

// The smallest buffer that is large enough and whose last copy is done.
Staging::Buffer* Staging::find(size_t bytes) {
  Buffer* best = nullptr;
  for (auto& buffer : buffers_) {
    if (buffer->used || buffer->bytes < bytes || (best && best->bytes <= buffer->bytes)) continue;
    if (gpu::is_done(buffer->served)) best = buffer.get();
  }
  return best;
}

std::shared_ptr<Staging::Buffer> Staging::take(size_t bytes) {
  std::lock_guard lock(mutex_);
  Buffer* found = find(bytes);
  if (!found) {
    auto made = std::make_unique<Buffer>();
    made->bytes = in_eighths(std::max<size_t>(bytes, 1), 4096);
    if (cudaMallocHost(&made->data, made->bytes) != cudaSuccess) {
      cudaGetLastError();
      throw Error(Code::OutOfMemory, "out of memory: " + std::to_string(made->bytes) +
                                         " bytes of pinned memory asked, " +
                                         std::to_string(total_) + " in use");
    }
    total_ += made->bytes;
    found = buffers_.emplace_back(std::move(made)).get();
    // Who waits for it leaves its core to others.
    constexpr unsigned flags = cudaEventDisableTiming | cudaEventBlockingSync;
    check_cuda(cudaEventCreateWithFlags(&found->served, flags), "an event");
  }
  found->used = true;
  return {found, [this](Buffer* buffer) {
            std::lock_guard lock(mutex_);
            buffer->used = false;
          }};
}

}  // namespace protea
