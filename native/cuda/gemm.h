#pragma once
#include "device.h"

namespace protea::gpu {

// C (M, N) = op(A) op(B) + beta C, as kernels/gemm.h.
struct Matrix {
  const float* data;  // null: there are only the rounded numbers
  int64_t stride;
  bool transpose = false;
  const bf16* rounded = nullptr;  // by round_once() or the runtime, or stored so; not for f32
  int64_t rounded_stride = 0;

  Matrix transposed() const { return {data, stride, !transpose, rounded, rounded_stride}; }
};

// An array of f32 or bf16, whose last dimension is `stride`.
inline Matrix matrix_of(const Array& array, int64_t stride, bool transpose = false) {
  if (array.dtype == Dtype::BF16) return {nullptr, 0, transpose, array.as<bf16>(), stride};
  auto* rounded = static_cast<const bf16*>(array.rounded);
  return {array.as<float>(), stride, transpose, rounded, rounded_row(stride)};
}

// Where numbers go: to f32, or rounded to `half`. Neither: nowhere.
struct Target {
  float* data = nullptr;
  bf16* half = nullptr;

  Target() = default;
  Target(float* to) : data(to) {}
  Target(bf16* to) : half(to) {}
  explicit Target(const Array& array) {
    if (array.dtype == Dtype::BF16)
      half = array.as<bf16>();
    else
      data = array.as<float>();
  }
  constexpr explicit operator bool() const { return data || half; }
};

// C += bias for every row, then gelu = GELU(C), (M, N) and stored like C, which then has no numbers
// between its rows. Not given: not done.
struct Epilogue {
  const float* bias = nullptr;
  Target gelu = {};
  const bf16* rounded_bias = nullptr;  // the same numbers, where they are rounded already
};

// By cuBLASLt where it is (blas.h), else by the kernels of gemm.cu.
void gemm(Gpu& gpu, Precision precision, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b,
          Target c, int64_t ldc, bool accumulate, Epilogue epilogue = {});

// By our own kernels.
void own_gemm(Gpu& gpu, Precision precision, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b,
              Target c, int64_t ldc, bool accumulate, Epilogue epilogue = {});

// An operand of several products, (rows, columns) as it lies in memory. Where cuBLASLt makes them
// in bf16 it is rounded here, once for all of them, into a working buffer; else it stays as it is.
Matrix round_once(Gpu& gpu, Precision precision, int slot, Matrix matrix, int64_t rows,
                  int64_t columns);

// In what the run computes in.
inline void gemm(Gpu& gpu, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b, Target c,
                 int64_t ldc, bool accumulate, Epilogue epilogue = {}) {
  gemm(gpu, gpu.precision(), M, N, K, a, b, c, ldc, accumulate, epilogue);
}

}  // namespace protea::gpu
