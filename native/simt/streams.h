#pragma once
// Streams and graphs of the twin: who takes what is put into a stream.
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "runtime.h"

// A recorded piece of work and what it is: a kernel's name, a copy, a fill.
struct CUgraph_st {
  struct Node {
    std::string what;
    std::function<void()> work;
  };
  std::vector<Node> nodes;
};

struct CUstream_st {
  std::deque<std::function<void()>> work;
  uint64_t put = 0, done = 0;
  cudaGraph_t recorded = nullptr;  // not null: it records
  bool spoilt = false;             // by a call that a recording stream does not allow
};

namespace simt {

// Records `work`, runs it or lets it wait, as the stream and config.streams say.
void put(cudaStream_t stream, const std::string& what, std::function<void()> work);

// Whether the stream records, which spoils what it has recorded.
bool spoils(cudaStream_t stream);

}  // namespace simt
