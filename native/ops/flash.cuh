#pragma once
// What the sweeps over prototypes in bf16 are made of. A block has 128 rows of its own, 16 a warp,
// in shared memory, and meets the columns 32 at a time; rows of both are W numbers, padded with
// zeros. The plan is that of FlashAttention-2 (Dao 2023).
#include "../cuda/rounded.cuh"
#include "../cuda/stages.cuh"
#include "../cuda/two_rows.cuh"
#include "prototype_rows.cuh"

namespace protea::gpu {

constexpr int flash_rows = tile_threads / 32 * 16, flash_columns = 32;

template <int W>
struct Flash {
  static constexpr int stride = W + 8;  // of a row in shared memory
  static constexpr int own_size = flash_rows * stride, step_size = flash_columns * stride;
  // Of a block that meets `arrays` arrays at a time.
  static constexpr size_t bytes(int arrays) {
    return carved<bf16>(own_size) + carved<bf16>(2 * arrays * step_size);
  }

  bf16 *own, *steps;

  GPU_DEVICE explicit Flash(int arrays) {
    Carver carver;
    own = carver.take<bf16>(own_size);
    steps = carver.take<bf16>(2 * arrays * step_size);
  }
  GPU_DEVICE bf16* step(int n) const { return steps + n * step_size; }

  GPU_DEVICE void fetch_own(const bf16* from) const {
    fetch_rows<W>(own, stride, from, W, flash_rows);
  }
  GPU_DEVICE static void fetch_step(bf16* to, const bf16* from) {
    fetch_rows<W>(to, stride, from, W, flash_columns);
  }

  // The products of a warp's own rows and the columns of a step.
  GPU_DEVICE WarpRows<flash_columns> products(const bf16* columns) const {
    WarpRows<flash_columns> result;
    result.clear();
    result.template add_product<bf16>(own + warp_index() * 16 * stride, stride, columns, stride, W);
    return result;
  }
};

// Calls body.template operator()<W>() with the least W that holds P <= 256 numbers.
template <class Body>
void with_flash_width(int64_t P, const Body& body) {
  if (P <= 64) return body.template operator()<64>();
  P <= 128 ? body.template operator()<128>() : body.template operator()<256>();
}

// Can blocks that meet `arrays` arrays at a time run?
inline bool flash_fits(const Gpu& gpu, int64_t P, int arrays) {
  if (gpu.precision() == Precision::F32 || P > 256) return false;
  size_t bytes = 0;
  with_flash_width(P, [&]<int W>() { bytes = Flash<W>::bytes(arrays); });
  return bytes <= gpu.shared_limit();
}

inline int64_t flash_width(int64_t P) { return P <= 64 ? 64 : P <= 128 ? 128 : 256; }

// Rows of their own or of columns, rounded and padded.
inline void round_for_flash(Gpu& gpu, const View& from, bf16* to) {
  round_rows(gpu, from, to, whole(from.rows, flash_rows), flash_width(from.depth));
}
inline int64_t flash_size(const View& rows) {
  return whole(rows.rows, flash_rows) * flash_width(rows.depth);
}
// Prototypes that the runtime has rounded, if they need no padding; else null.
inline const bf16* ready_for_flash(const Logits& logits) {
  return flash_size(logits.w) == logits.w.rows * logits.w.depth ? logits.rounded : nullptr;
}

}  // namespace protea::gpu
