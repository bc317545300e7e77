#pragma once
// Steps of a loop whose operands are fetched to shared memory while the step before is computed.
#include "gpu.h"

namespace protea::gpu {

// For k = begin, begin + step ... below end: fetch(k, stage) starts copies into stage 0 or 1,
// body(k, stage) works on them. What was fetched before comes with the first. All threads of the
// block call it; shared memory may be used again after it.
template <class Fetch, class Body>
GPU_DEVICE void in_stages(int64_t begin, int64_t end, int64_t step, const Fetch& fetch,
                          const Body& body) {
  if (begin >= end) return;
  fetch(begin, 0);
  commit_copies();
  int stage = 0;
  for (int64_t k = begin; k < end; k += step, stage ^= 1) {
    if (k + step < end) {
      fetch(k + step, stage ^ 1);
      commit_copies();
      wait_copies<1>();
    } else {
      wait_copies<0>();
    }
    __syncthreads();
    body(k, stage);
    __syncthreads();
  }
}

// Rows of W numbers that lie together, to rows of `stride` numbers in shared memory.
template <int W, class T>
GPU_DEVICE void fetch_rows(T* to, int stride, const T* from, int64_t from_stride, int rows) {
  constexpr int piece = 16 / sizeof(T);  // numbers of one copy
  for (int n = static_cast<int>(threadIdx.x); n < rows * W / piece; n += blockDim.x) {
    int r = n / (W / piece), k = n % (W / piece) * piece;
    copy_async<16>(to + r * stride + k, from + r * from_stride + k, true);
  }
}

}  // namespace protea::gpu
