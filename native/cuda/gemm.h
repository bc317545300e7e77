#pragma once
#include "device.h"

namespace protea::gpu {

// C (M, N) = op(A) op(B) + beta C, as kernels/gemm.h.
struct Matrix {
  const float* data;
  int64_t stride;
  bool transpose = false;
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

// In what the run computes in.
inline void gemm(Gpu& gpu, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b, float* c,
                 int64_t ldc, bool accumulate, Epilogue epilogue = {}) {
  gemm(gpu, gpu.precision(), M, N, K, a, b, c, ldc, accumulate, epilogue);
}

}  // namespace protea::gpu
