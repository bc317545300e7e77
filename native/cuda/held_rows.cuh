#pragma once
// Rows on their way from f32 in memory to bf16 in shared memory.
#include "tile.cuh"

namespace protea::gpu {

// `Rows` rows of W numbers, a part of them in the registers of each of `Threads` threads. Between
// load and store a block can work on what it has: nothing waits for memory before the store.
// The view's rows must be whole float4s at multiples of 16 bytes; outside of it all is 0.
template <int W, int Rows, int Threads>
class HeldRows {
 public:
  GPU_DEVICE void load(const View& from, int first) {
    int row = first + own_row(), rows = static_cast<int>(from.rows);
    int64_t stride = static_cast<int>(from.row);  // one instruction a product, and less to keep
    const float* at = from.data + row * stride + own_column();
    bool inside = own_column() < from.depth;
#pragma unroll
    for (int i = 0; i < count; i++, row += apart, at += apart * stride)
      piece_[i] =
          inside && row < rows ? *reinterpret_cast<const float4*>(at) : make_float4(0, 0, 0, 0);
  }

  GPU_DEVICE void store(bf16* to, int stride) const {
    to += own_row() * stride + own_column();
#pragma unroll
    for (int i = 0; i < count; i++) {
      float4 p = piece_[i];
      *reinterpret_cast<uint2*>(to + i * apart * stride) =
          uint2{packed<bf16>(p.x, p.y), packed<bf16>(p.z, p.w)};
    }
  }

 private:
  // Threads that follow each other hold pieces that lie together; all pieces of a thread lie in
  // one column, `apart` rows from each other.
  static constexpr int across = W / 4, apart = Threads / across, count = Rows / apart;
  static_assert(Threads % across == 0 && Rows % apart == 0 && count > 0);
  GPU_DEVICE static int own_row() { return static_cast<int>(threadIdx.x) / across; }
  GPU_DEVICE static int own_column() { return static_cast<int>(threadIdx.x) % across * 4; }

  float4 piece_[count];
};

}  // namespace protea::gpu
