#pragma once
// Products by cuBLASLt, where it is: gemm() asks it first and makes those it declines by itself.
#include <map>
#include <string>

#include "blas_api.h"
#include "gemm.h"

namespace protea::gpu {

class Blas {
 public:
  // Tries products of both precisions against our own before it is trusted, so a library of another
  // layout than we know is found out. Waits for the device, once.
  explicit Blas(Gpu& gpu);
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  // C (M, N) = op(A) op(B) + beta C + bias, as gemm() but for the GELU; false: not done, C is as it
  // was.
  bool multiply(Precision precision, int64_t M, int64_t N, int64_t K, Matrix a, Matrix b, Target c,
                int64_t ldc, bool accumulate, const Epilogue& epilogue);

  // Does it make any?
  bool made() const { return api_; }

  // A matrix (rows, columns) as it lies in memory, with its numbers in bf16.
  Matrix rounded(int slot, Matrix matrix, int64_t rows, int64_t columns);

  // What makes the products and, where it is not cuBLASLt, why.
  const std::string& note() const { return note_; }

 private:
  // All that the choice of an algorithm depends on. Matrices are the library's: column by column,
  // so its A is our B.
  struct Shape {
    int64_t M, N, K, a_stride, b_stride, c_stride;
    int type, c_type, transpose_a, transpose_b;
    uint32_t a_alignment, b_alignment, c_alignment, bias_alignment;  // 0: no bias
    auto operator<=>(const Shape&) const = default;
  };
  struct Plan;

  Matrix in_halves(int slot, Matrix matrix, int64_t rows, int64_t columns);
  const void* bias_beside(Target c, const Epilogue& epilogue, int64_t N);
  bool choose(Plan& plan, const Shape& shape, const void* bias);
  std::string trial(Precision precision, bool to_half, bool transpose_a, bool transpose_b);
  std::string try_out();  // empty: all is well
  void forget_plans();
  void release();

  Gpu& gpu_;
  std::string note_;
  const lt::Api* api_;  // null: not used
  lt::Handle handle_ = nullptr;
  std::map<Shape, Plan> plans_;
};

}  // namespace protea::gpu
