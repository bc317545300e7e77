#pragma once
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "staging.h"

namespace protea {

// The work of a stream as CUDA graphs: recorded instead of launched, a stretch of ops at a time,
// and then launched at once. A step repeats its stretches with other arguments: what a stretch is
// made of finds the executable graph of last time, which takes them (cudaGraphExecUpdate).
class Recorder {
 public:
  explicit Recorder(cudaStream_t stream) : stream_(stream) {}
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Off, work goes to the stream as it comes.
  void set_on(bool on);

  // Where work goes that may be recorded. `what` tells pieces of work apart: kernels by their
  // function.
  cudaStream_t stream(uint64_t what);

  // A copy of what was given to stream() reads `buffer`: it is served when that has run.
  void serves(const std::shared_ptr<Staging::Buffer>& buffer);

  // Between two ops; a stretch ends here.
  void op_ended();

  // Launches what is recorded. Before whatever waits for the stream or goes to it directly.
  void cut();

  size_t built() const { return built_; }        // executable graphs, since the start
  size_t launched() const { return launched_; }  // graphs

 private:
  void begin();
  cudaGraphExec_t executable(cudaGraph_t graph);

  cudaStream_t stream_;
  bool on_ = false, open_ = false;
  int ops_ = 0;       // since the last cut
  uint64_t key_ = 0;  // of what is recorded
  std::vector<std::shared_ptr<Staging::Buffer>> serving_;
  std::unordered_map<uint64_t, cudaGraphExec_t> executables_;
  size_t built_ = 0, launched_ = 0;
};

}  // namespace protea
