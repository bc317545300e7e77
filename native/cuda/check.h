#pragma once
// Included by gpu.h, which brings the runtime's declarations.
#include <string>

#include "../core/error.h"

namespace protea::gpu {

// Throws Code::Cuda for a failed call of the runtime.
inline void check_cuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw Error(Code::Cuda, std::string("[cuda] ") + what + " failed: " + cudaGetErrorString(error) +
                              " (" + cudaGetErrorName(error) +
                              "). Results on the GPU are lost: restart the process");
}

// Whether the work before an event is done. An event that is still to come is no error, and none
// is left behind for the next launch to find.
inline bool is_done(cudaEvent_t event) {
  cudaError_t error = cudaEventQuery(event);
  if (error != cudaErrorNotReady)
    check_cuda(error, "an event");
  else
    cudaGetLastError();
  return error == cudaSuccess;
}

}  // namespace protea::gpu
