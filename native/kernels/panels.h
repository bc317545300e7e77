#pragma once
#include <vector>

#include "gemm.h"

namespace protea {

// A panel of this depth and the strip beside it fit the L1 cache.
constexpr int64_t block_depth = 256;

// Packs the panels `first` to `last` of a block of depth of b (depth, columns), the rows from k on.
// `to`: where the first panel of all lies; the others come behind it.
template <class T>
void pack_panels(Matrix<T> b, int64_t k, int64_t depth, int64_t columns, int64_t first,
                 int64_t last, T* to);

// The right operand of many products, packed once: op(B) (depth, columns). For kernels that work
// on blocks of their left operand and keep each block's result in the cache.
template <class T>
class Panels {
 public:
  Panels(Matrix<T> b, int64_t depth, int64_t columns);

  // c (rows, columns) = or += a op(B), a (rows, depth) as it lies; on the calling thread. As many
  // bytes as a has are fetched from `ahead` (null: nothing) meanwhile, which hides the way to
  // memory of what is worked on next.
  void multiply(int64_t rows, const T* a, int64_t lda, T* c, int64_t ldc, bool accumulate,
                const T* ahead = nullptr) const;

 private:
  int64_t depth_, columns_, panels_;
  std::vector<T> packed_;
};

extern template class Panels<float>;
extern template class Panels<double>;

}  // namespace protea
