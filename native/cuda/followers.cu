#include "followers.h"

namespace protea::gpu {
namespace {

__global__ void follow_kernel(Followers followers, int64_t rows) {
  for (int64_t m = first_index(); m < followers.length; m += index_stride()) {
    int64_t row = followers.list[m];
    if (row < 0 || row >= rows) continue;
    int at = atomicAdd(followers.count + row, 1);
    if (at < Followers::room) followers.few[row * Followers::room + at] = static_cast<int32_t>(m);
  }
}

}  // namespace

Followers follow(Gpu& gpu, int slot, const int32_t* list, int64_t length, int64_t rows) {
  Followers followers{list, length, gpu.scratch<int>(slot, rows),
                      gpu.scratch<int32_t>(slot + 1, rows * Followers::room)};
  gpu.fill(followers.count, 0, rows * sizeof(int));
  if (length > 0) GPU_LAUNCH(gpu, follow_kernel, cover(length), followers, rows);
  return followers;
}

}  // namespace protea::gpu
