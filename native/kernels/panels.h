#pragma once
#include <vector>

#include "gemm.h"

namespace protea {

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
