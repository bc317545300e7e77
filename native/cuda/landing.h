#pragma once
#include <deque>

#include "staging.h"

namespace protea {

// Large copies to the device, beside its work: the next batch travels while this one is computed.
// A copy goes on a stream of its own to pads, memory of its own, since its target may still be in
// use; the compute stream waits for it there and moves it on within the device.
class Landing {
 public:
  explicit Landing(cudaStream_t compute, size_t pad_bytes = size_t{16} << 20, size_t most = 16);
  ~Landing();
  Landing(const Landing&) = delete;
  Landing& operator=(const Landing&) = delete;

  // Copies the first `bytes` of `from` to `to`, in order with the work of the compute stream.
  void bring(void* to, const Staging::Buffer& from, size_t bytes);
  size_t total() const { return pads_.size() * pad_bytes_; }

 private:
  struct Pad {
    char* data = nullptr;
    cudaEvent_t filled = nullptr, emptied = nullptr;
  };
  bool add_pad();
  Pad* next_pad();
  void fill(const Pad& pad, const void* from, size_t bytes);
  void empty(const Pad& pad, void* to, size_t bytes);

  cudaStream_t compute_, copies_ = nullptr;
  size_t pad_bytes_, most_;
  std::deque<Pad> pads_;  // the longest in use comes first
};

}  // namespace protea
