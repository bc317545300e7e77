#include "landing.h"

namespace protea {

using gpu::check_cuda;

Landing::Landing(cudaStream_t compute, size_t pad_bytes, size_t most)
    : compute_(compute), pad_bytes_(pad_bytes), most_(most) {
  check_cuda(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "making a stream");
}

Landing::~Landing() {
  cudaStreamSynchronize(copies_);
  cudaStreamSynchronize(compute_);
  for (Pad& pad : pads_) {
    cudaEventDestroy(pad.filled);
    cudaEventDestroy(pad.emptied);
    cudaFree(pad.data);
  }
  cudaStreamDestroy(copies_);
}

// False where no memory is left.
bool Landing::add_pad() {
  void* data = nullptr;
  if (cudaMalloc(&data, pad_bytes_) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  Pad& pad = pads_.emplace_front(Pad{static_cast<char*>(data)});
  for (cudaEvent_t* event : {&pad.filled, &pad.emptied})
    check_cuda(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "an event");
  return true;
}

// A pad that is empty, a new one, or the one that will be empty first; null: none can be had.
Landing::Pad* Landing::next_pad() {
  bool empty = !pads_.empty() && gpu::is_done(pads_.front().emptied);
  if (!empty && pads_.size() < most_) add_pad();
  if (pads_.empty()) return nullptr;
  pads_.push_back(pads_.front());
  pads_.pop_front();
  return &pads_.back();
}

void Landing::fill(const Pad& pad, const void* from, size_t bytes) {
  check_cuda(cudaStreamWaitEvent(copies_, pad.emptied, 0), "waiting for an event");
  check_cuda(cudaMemcpyAsync(pad.data, from, bytes, cudaMemcpyHostToDevice, copies_),
             "a copy to the device");
  check_cuda(cudaEventRecord(pad.filled, copies_), "an event");
}

void Landing::empty(const Pad& pad, void* to, size_t bytes) {
  check_cuda(cudaStreamWaitEvent(compute_, pad.filled, 0), "waiting for an event");
  check_cuda(cudaMemcpyAsync(to, pad.data, bytes, cudaMemcpyDeviceToDevice, compute_),
             "a copy on the device");
  check_cuda(cudaEventRecord(pad.emptied, compute_), "an event");
}

void Landing::bring(void* to, const Staging::Buffer& from, size_t bytes) {
  cudaStream_t last = copies_;
  for (size_t at = 0; at < bytes; at += pad_bytes_) {
    size_t count = std::min(pad_bytes_, bytes - at);
    const char* source = static_cast<const char*>(from.data) + at;
    char* target = static_cast<char*>(to) + at;
    if (const Pad* pad = next_pad()) {
      fill(*pad, source, count);
      empty(*pad, target, count);
    } else {
      check_cuda(cudaMemcpyAsync(target, source, count, cudaMemcpyHostToDevice, compute_),
                 "a copy to the device");
      last = compute_;
    }
  }
  check_cuda(cudaEventRecord(from.served, last), "an event");
}

}  // namespace protea
