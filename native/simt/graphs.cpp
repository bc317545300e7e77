// Work recorded from a stream and launched as a whole. What CUDA forbids while a stream records is
// an error here too: waiting for it, waiting in it for what another stream does, and events in it
// (which CUDA would record as places in the graph; nothing here has a use for that).
#include <algorithm>
#include <memory>
#include <utility>

#include "streams.h"

struct CUgraphExec_st {
  std::vector<CUgraph_st::Node> nodes;
};

namespace {

using simt::device_mutex;
using simt::refuse;

}  // namespace

bool simt::spoils(cudaStream_t stream) {
  if (!stream || !stream->recorded) return false;
  stream->spoilt = true;
  return true;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  std::lock_guard lock(device_mutex);
  if (stream->recorded) return refuse(cudaErrorIllegalState);
  stream->recorded = new CUgraph_st;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  std::lock_guard lock(device_mutex);
  std::unique_ptr<CUgraph_st> recorded(std::exchange(stream->recorded, nullptr));
  *graph = nullptr;
  if (!recorded) return refuse(cudaErrorIllegalState);
  if (std::exchange(stream->spoilt, false)) return refuse(cudaErrorStreamCaptureInvalidated);
  *graph = recorded.release();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->nodes};
  return cudaSuccess;
}

// The nodes must be the same in the same order; their arguments may differ.
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo*) {
  bool same = std::equal(exec->nodes.begin(), exec->nodes.end(), graph->nodes.begin(),
                         graph->nodes.end(), [](auto& a, auto& b) { return a.what == b.what; });
  if (!same) return refuse(cudaErrorGraphExecUpdateFailure);
  exec->nodes = graph->nodes;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  for (const CUgraph_st::Node& node : exec->nodes) simt::put(stream, node.what, node.work);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
