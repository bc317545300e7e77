// The emulated machine itself, with kernels that are right and kernels with one mistake planted.
#include <cmath>
#include <cstdio>
#include <thread>
#include <vector>

#include "../../cuda/block.cuh"
#include "../../cuda/device.h"
#include "arrays.h"

namespace protea {
namespace {

using test::Device32;
using test::every_schedule;
using test::wave;

enum class Mistake {
  None,
  MissingBarrier,
  SharedOutOfBounds,
  GlobalOutOfBounds,
  DivergentBarrier,
  DivergentShuffle,
  EarlyUse,
  UnorderedBlocks,
  Unwritten
};

// y = softmax of each row; the kernel most mistakes are planted in.
template <Mistake mistake>
__global__ void softmax_kernel(const float* x, float* y, int64_t columns) {
  GPU_SHARED(float, parts, [32]);
  const float* row = x + blockIdx.x * columns;
  float most = -INFINITY, sum = 0;
  int64_t end = mistake == Mistake::GlobalOutOfBounds ? columns + 1 : columns;
  for (int64_t i = threadIdx.x; i < end; i += blockDim.x) most = fmaxf(most, row[i]);
  most = gpu::warp_max(most);
  int slot = mistake == Mistake::SharedOutOfBounds ? gpu::warp_index() * 5 : gpu::warp_index();
  if (gpu::lane_index() == 0) parts[slot] = most;
  if (mistake != Mistake::MissingBarrier) __syncthreads();
  bool filled = gpu::lane_index() < gpu::warp_count() || mistake == Mistake::Unwritten;
  most = gpu::warp_max(filled ? parts[gpu::lane_index()] : -INFINITY);
  if (mistake != Mistake::DivergentBarrier || threadIdx.x < 64) __syncthreads();
  if (mistake == Mistake::DivergentShuffle && gpu::lane_index() < 8) most = gpu::warp_max(most);
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) sum += expf(row[i] - most);
  sum = gpu::block_sum(sum);
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x)
    y[blockIdx.x * columns + i] = expf(row[i] - most) / sum;
}

// y = x through shared memory, in the background.
template <Mistake mistake>
__global__ void copy_kernel(const float* x, float* y) {
  GPU_SHARED(float, tile, [256]);
  unsigned i = threadIdx.x;
  gpu::copy_async<4>(&tile[i], x + i, true);
  gpu::commit_copies();
  if (mistake != Mistake::EarlyUse) gpu::wait_copies<0>();
  __syncthreads();
  y[i] = tile[255 - i];
  if (mistake == Mistake::EarlyUse) gpu::wait_copies<0>();
}

template <Mistake mistake>
__global__ void count_kernel(int* count) {
  if (threadIdx.x > 0) return;
  if (mistake == Mistake::UnorderedBlocks)
    *count = *count + 1;
  else
    atomicAdd(count, 1);
}

// The smallest, the largest and the sum of each row, one after another.
__global__ void extremes_kernel(const float* x, float* y) {
  float value = x[blockIdx.x * blockDim.x + threadIdx.x];
  float most = gpu::block_max(value), least = -gpu::block_max(-value);
  float sum = gpu::block_sum(value), square = gpu::block_sum(value * value);
  if (threadIdx.x > 0) return;
  float* to = y + blockIdx.x * 4;
  to[0] = least;
  to[1] = most;
  to[2] = sum;
  to[3] = square;
}

template <Mistake mistake>
bool softmax_is_right() {
  constexpr int64_t rows = 3, columns = 1000;
  Device32 device;
  std::vector<float> x = wave(rows * columns, 3);
  float *from = device.make(x), *to = device.make(std::vector<float>(x.size()));
  GPU_LAUNCH(device.gpu, softmax_kernel<mistake>, gpu::Grid{dim3(rows), dim3(256)}, from, to,
             columns);
  std::vector<float> y = device.read(to, x.size());
  for (int64_t r = 0; r < rows; r++) {
    double sum = 0;
    for (int64_t i = 0; i < columns; i++) sum += std::exp(double(x[r * columns + i]));
    for (int64_t i = 0; i < columns; i++)
      if (!(std::fabs(y[r * columns + i] - std::exp(double(x[r * columns + i])) / sum) < 1e-6))
        return false;
  }
  return true;
}

template <Mistake mistake>
bool copy_is_right() {
  Device32 device;
  std::vector<float> x = wave(256);
  float *from = device.make(x), *to = device.make(std::vector<float>(256));
  GPU_LAUNCH(device.gpu, copy_kernel<mistake>, gpu::Grid{dim3(1), dim3(256)}, from, to);
  std::vector<float> y = device.read(to, 256);
  for (int i = 0; i < 256; i++)
    if (y[i] != x[255 - i]) return false;
  return true;
}

template <Mistake mistake>
bool count_is_right() {
  Device32 device;
  float* count = device.make({0});
  GPU_LAUNCH(device.gpu, count_kernel<mistake>, gpu::Grid{dim3(9), dim3(32)},
             reinterpret_cast<int*>(count));
  int found = 0;
  device.gpu.download(&found, count, sizeof found)();
  return found == 9;
}

// sum[t] += x[t stride] for each of a block's threads.
__global__ void gather_kernel(const float* x, float* sum, int64_t stride) {
  sum[threadIdx.x] += x[threadIdx.x * stride];
}

// More copies than pads, all to one place, each of several pieces and read before the next comes.
bool landings_are_right() {
  constexpr int64_t n = 3000, copies = 12, threads = 32, stride = n / threads;
  Device32 device;
  Landing landing(device.gpu.direct_stream(), 4096, 4);
  float *to = device.make(std::vector<float>(n)), *sum = device.make(std::vector<float>(threads));
  for (int64_t i = 0; i < copies; i++) {
    auto staged = device.gpu.stage(wave(n, float(i + 1)).data(), n * sizeof(float));
    landing.bring(to, *static_cast<Staging::Buffer*>(staged.get()), n * sizeof(float));
    GPU_LAUNCH(device.gpu, gather_kernel, gpu::Grid{dim3(1), dim3(threads)}, to, sum, stride);
  }
  std::vector<float> found = device.read(sum, threads), x = wave(n);
  for (int64_t t = 0; t < threads; t++)
    if (!(std::fabs(found[t] - x[t * stride] * (copies * (copies + 1) / 2)) < 1e-3)) return false;
  return true;
}

bool extremes_are_right() {
  Device32 device;
  std::vector<float> x = wave(2 * 256);
  float *from = device.make(x), *to = device.make(std::vector<float>(8));
  GPU_LAUNCH(device.gpu, extremes_kernel, gpu::Grid{dim3(2), dim3(256)}, from, to);
  std::vector<float> y = device.read(to, 8);
  for (int row = 0; row < 2; row++) {
    double least = 1, most = -1, sum = 0, square = 0;
    for (int i = 0; i < 256; i++) {
      double value = x[row * 256 + i];
      least = std::fmin(least, value);
      most = std::fmax(most, value);
      sum += value;
      square += value * value;
    }
    const double expected[] = {least, most, sum, square};
    for (int i = 0; i < 4; i++)
      if (!(std::fabs(y[row * 4 + i] - expected[i]) < 1e-4)) return false;
  }
  return true;
}

#ifndef __CUDACC__
// As on hardware: what one thread is refused is not another one's error.
bool errors_stay_with_their_thread() {
  simt::config.fail_allocation = 1;
  void* data = nullptr;
  std::thread([&] { cudaMalloc(&data, 4); }).join();
  return !data && cudaGetLastError() == cudaSuccess;
}
#endif

}  // namespace

namespace test {

// The kernels of this file that wait for each other, for the test that leaves waits out.
std::vector<bool (*)()> waiting_checks() {
  return {extremes_are_right, copy_is_right<Mistake::None>, landings_are_right};
}

}  // namespace test

void test_machine() {
#ifndef __CUDACC__
  test::expect(errors_stay_with_their_thread(), "a thread's error is its own");
#endif
  every_schedule("extremes", extremes_are_right);
  every_schedule("copies that land beside the work", landings_are_right);
  every_schedule("softmax", softmax_is_right<Mistake::None>);
  every_schedule("asynchronous copy", copy_is_right<Mistake::None>);
  every_schedule("atomic count", count_is_right<Mistake::None>);
}

// Runs one kernel with its mistake; passes when the result is right, so a mistake that is found
// fails, throws or is stopped by a sanitizer.
void test_planted(const std::string& name) {
  using Body = bool (*)();
  const std::pair<const char*, Body> planted[] = {
      {"none", softmax_is_right<Mistake::None>},
      {"missing-barrier", softmax_is_right<Mistake::MissingBarrier>},
      {"shared-out-of-bounds", softmax_is_right<Mistake::SharedOutOfBounds>},
      {"global-out-of-bounds", softmax_is_right<Mistake::GlobalOutOfBounds>},
      {"divergent-barrier", softmax_is_right<Mistake::DivergentBarrier>},
      {"divergent-shuffle", softmax_is_right<Mistake::DivergentShuffle>},
      {"unwritten-shared", softmax_is_right<Mistake::Unwritten>},
      {"early-use-of-copy", copy_is_right<Mistake::EarlyUse>},
      {"unordered-blocks", count_is_right<Mistake::UnorderedBlocks>},
  };
  for (auto [known, body] : planted)
    if (name == known) every_schedule(known, body);
  if (name != "list") return;
  for (auto [known, body] : planted) std::printf("%s\n", known);
}

}  // namespace protea
