#pragma once
#include <cstdint>

namespace protea {

// C (M, N) = op(A) op(B) + beta C, row-major. op(A) is (M, K): A itself, or Aᵀ when `transpose_a`
// (A is then stored (K, M)); likewise op(B) is (K, N). lda, ldb, ldc are the strides between stored
// rows. `accumulate`: beta is 1; otherwise 0 and C is not read. Bits do not depend on the number of
// threads.
template <class T>
struct Matrix {
  const T* data;
  int64_t stride;
  bool transpose = false;
};

// Where op(A)'s number at (row, column) lies.
template <class T>
const T* at(Matrix<T> m, int64_t row, int64_t column) {
  return m.transpose ? m.data + column * m.stride + row : m.data + row * m.stride + column;
}

// What is done to a piece of C while it is in the cache: C += bias for every row, then
// gelu = GELU(C) into another matrix. Null: not done.
template <class T>
struct Epilogue {
  const T* bias = nullptr;  // (N)
  T* gelu = nullptr;        // (M, N)
  int64_t gelu_stride = 0;
};

template <class T>
void gemm(int64_t M, int64_t N, int64_t K, Matrix<T> a, Matrix<T> b, T* c, int64_t ldc,
          bool accumulate, Epilogue<T> epilogue = {});

extern template void gemm<float>(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float*,
                                 int64_t, bool, Epilogue<float>);
extern template void gemm<double>(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>,
                                  double*, int64_t, bool, Epilogue<double>);

}  // namespace protea
