#include "recorder.h"

namespace protea {

using gpu::check_cuda;

namespace {

// Ops of a stretch: enough to be worth a launch, few enough that the device begins while the rest
// of a step is recorded.
constexpr int stretch = 32;
// Kept executable graphs. Shapes that never repeat would gather them without end.
constexpr size_t most = 1024;

// The next value of a hash of what is recorded (Knuth's multiplier for 64 bits).
uint64_t mixed(uint64_t key, uint64_t what) {
  key = (key ^ what) * 6364136223846793005u;
  return key ^ (key >> 29);
}

struct Graph {
  cudaGraph_t graph = nullptr;
  ~Graph() {
    if (graph) cudaGraphDestroy(graph);
  }
};

}  // namespace

Recorder::~Recorder() {
  if (open_) {
    Graph dropped;
    cudaStreamEndCapture(stream_, &dropped.graph);
  }
  cudaStreamSynchronize(stream_);
  for (auto& [key, executable] : executables_) cudaGraphExecDestroy(executable);
}

void Recorder::set_on(bool on) {
  cut();
  on_ = on;
}

// Relaxed: memory may be had while a stretch is recorded, by this thread or another.
void Recorder::begin() {
  check_cuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "recording work");
  open_ = true;
  key_ = 0;
}

cudaStream_t Recorder::stream(uint64_t what) {
  if (on_ && !open_) begin();
  if (open_) key_ = mixed(key_, what);
  return stream_;
}

void Recorder::serves(const std::shared_ptr<Staging::Buffer>& buffer) {
  if (open_)
    serving_.push_back(buffer);
  else
    check_cuda(cudaEventRecord(buffer->served, stream_), "an event");
}

void Recorder::op_ended() {
  if (open_ && ++ops_ >= stretch) cut();
}

// The executable graph of the same kernels with this one's arguments, or a new one.
cudaGraphExec_t Recorder::executable(cudaGraph_t graph) {
  auto found = executables_.find(key_);
  if (found != executables_.end()) {
    cudaGraphExecUpdateResultInfo result;
    if (cudaGraphExecUpdate(found->second, graph, &result) == cudaSuccess) return found->second;
    cudaGetLastError();  // it is built anew
    cudaGraphExecDestroy(found->second);
    executables_.erase(found);
  }
  if (executables_.size() >= most) {
    for (auto& [key, executable] : executables_) cudaGraphExecDestroy(executable);
    executables_.clear();
  }
  cudaGraphExec_t made = nullptr;
  check_cuda(cudaGraphInstantiate(&made, graph, 0), "building a graph");
  built_++;
  return executables_[key_] = made;
}

void Recorder::cut() {
  ops_ = 0;
  if (!open_) return;
  open_ = false;
  auto serving = std::move(serving_);
  serving_.clear();
  Graph recorded;
  check_cuda(cudaStreamEndCapture(stream_, &recorded.graph), "recording work");
  check_cuda(cudaGraphLaunch(executable(recorded.graph), stream_), "launching a graph");
  launched_++;
  for (const auto& buffer : serving)
    check_cuda(cudaEventRecord(buffer->served, stream_), "an event");
}

}  // namespace protea
