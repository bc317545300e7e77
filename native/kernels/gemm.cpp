#include "gemm.h"

#include <algorithm>

#include "../core/parallel.h"

namespace protea {
namespace {

template <class T>
T at(Matrix<T> m, int64_t row, int64_t column) {
  return m.transpose ? m.data[column * m.stride + row] : m.data[row * m.stride + column];
}

}  // namespace

template <class T>
void gemm(int64_t M, int64_t N, int64_t K, Matrix<T> a, Matrix<T> b, T* c, int64_t ldc,
          bool accumulate) {
  parallel_for(M, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      T* row = c + i * ldc;
      if (!accumulate) std::fill_n(row, N, T(0));
      for (int64_t k = 0; k < K; k++) {
        T x = at(a, i, k);
        for (int64_t j = 0; j < N; j++) row[j] += x * at(b, k, j);
      }
    }
  });
}

template void gemm<float>(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float*, int64_t,
                          bool);
template void gemm<double>(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, double*,
                           int64_t, bool);

}  // namespace protea
