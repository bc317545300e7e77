#pragma once
// Rows on their way from memory, f32 or bf16, to bf16 in shared memory.
#include <type_traits>

#include "tile.cuh"

namespace protea::gpu {

// `Rows` rows of W numbers, a part of them in the registers of each of `Threads` threads. Between
// load and store a block can work on what it has: nothing waits for memory before the store.
// The view's rows must be whole fours of numbers, at multiples of their size; outside of it all is
// 0.
template <int W, int Rows, int Threads, class S>
class HeldRows {
 public:
  GPU_DEVICE void load(const ViewOf<S>& from, int first) {
    int row = first + own_row(), rows = static_cast<int>(from.rows);
    int64_t stride = static_cast<int>(from.row);  // one instruction a product, and less to keep
    const S* at = from.data + row * stride + own_column();
    bool inside = own_column() < from.depth;
#pragma unroll
    for (int i = 0; i < count; i++, row += apart, at += apart * stride)
      piece_[i] = inside && row < rows ? *reinterpret_cast<const Four*>(at) : Four{};
  }

  GPU_DEVICE void store(bf16* to, int stride) const {
    to += own_row() * stride + own_column();
#pragma unroll
    for (int i = 0; i < count; i++)
      *reinterpret_cast<uint2*>(to + i * apart * stride) = in_bf16(piece_[i]);
  }

 private:
  // Threads that follow each other hold pieces that lie together; all pieces of a thread lie in
  // one column, `apart` rows from each other.
  static constexpr int across = W / 4, apart = Threads / across, count = Rows / apart;
  static_assert(Threads % across == 0 && Rows % apart == 0 && count > 0);
  GPU_DEVICE static int own_row() { return static_cast<int>(threadIdx.x) / across; }
  GPU_DEVICE static int own_column() { return static_cast<int>(threadIdx.x) % across * 4; }

  using Four = std::conditional_t<std::is_same_v<S, float>, float4, uint2>;
  GPU_DEVICE static uint2 in_bf16(const float4& p) {
    return {packed<bf16>(p.x, p.y), packed<bf16>(p.z, p.w)};
  }
  GPU_DEVICE static uint2 in_bf16(const uint2& p) { return p; }

  Four piece_[count];
};

}  // namespace protea::gpu
