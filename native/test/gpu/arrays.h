#pragma once
#include <cmath>
#include <vector>

#include "../../cuda/device.h"
#include "../check.h"

namespace protea::test {

// Arrays on the device for one test.
struct Device32 {
  Gpu gpu;
  std::vector<void*> blocks;
  ~Device32() {
    for (void* block : blocks) cudaFree(block);
  }
  float* make(const std::vector<float>& values) {
    void* block = gpu.blocks().take(values.size() * sizeof(float));
    blocks.push_back(block);
    gpu.upload(block, gpu.stage(values.data(), values.size() * sizeof(float)),
               values.size() * sizeof(float));
    return static_cast<float*>(block);
  }
  std::vector<float> read(const float* from, size_t count) {
    std::vector<float> values(count);
    gpu.download(values.data(), from, count * sizeof(float))();
    return values;
  }
};

inline std::vector<float> wave(size_t count, float scale = 1) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; i++) values[i] = scale * std::sin(1.0f + 0.7f * float(i));
  return values;
}

// Expects `body` to be true under every schedule of threads, blocks and streams.
#ifndef __CUDACC__
inline void every_schedule(const char* what, bool (*body)()) {
  const simt::Streams streams[] = {simt::Streams::AtOnce, simt::Streams::Wander,
                                   simt::Streams::Lazy};
  for (simt::Order order :
       {simt::Order::Forward, simt::Order::Reverse, simt::Order::Random, simt::Order::Priority})
    for (uint64_t seed : {1, 2, 3}) {
      simt::config = {
          .order = order, .seed = seed, .defer_copies = seed != 2, .streams = streams[seed - 1]};
      test::expect(body(), what);
    }
  simt::config = {};
}
#else
inline void every_schedule(const char* what, bool (*body)()) { test::expect(body(), what); }
#endif

}  // namespace protea::test
