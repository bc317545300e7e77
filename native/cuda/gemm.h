#pragma once
#include "device.h"

namespace protea::gpu {

// C (M, N) = op(A) op(B) + beta C, as kernels/gemm.h.
struct Matrix {
  const float* data;
  int64_t stride;
  bool transpose = false;
  const bf16* rounded = nullptr;  // the same numbers, by round_once()

  Matrix transposed() const { return {data, stride, !transpose, rounded}; }
};

// C += bias for every row, then gelu = GELU(C), as long as C (M, N). Null: not done.
struct Epilogue {
  const float* bias = nullptr;
  float* gelu = nullptr;
};

// By cuBLASLt where it is (blas.h), else by the kernels of gemm.cu.
void gemm(Gpu& gpu, Precision precision, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b,
          float* c, int64_t ldc, bool accumulate, Epilogue epilogue = {});

// By our own kernels.
void own_gemm(Gpu& gpu, Precision precision, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b,
              float* c, int64_t ldc, bool accumulate, Epilogue epilogue = {});

// An operand of several products, (rows, columns) as it lies in memory. Where cuBLASLt makes them
// in bf16 it is rounded here, once for all of them, into a working buffer; else it stays as it is.
Matrix round_once(Gpu& gpu, Precision precision, int slot, Matrix matrix, int64_t rows,
                  int64_t columns);

// In what the run computes in.
inline void gemm(Gpu& gpu, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b, float* c,
                 int64_t ldc, bool accumulate, Epilogue epilogue = {}) {
  gemm(gpu, gpu.precision(), M, N, K, a, b, c, ldc, accumulate, epilogue);
}

}  // namespace protea::gpu
