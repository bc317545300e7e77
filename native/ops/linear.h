#pragma once
// What the linear ops share: the checks, and the gradients of y = x weightᵀ + bias.
#include "../core/op.h"
#include "../kernels/column_sums.h"
#include "../kernels/gemm.h"

namespace protea {

inline void check_linear(const char* op, std::span<const Tensor> in) {
  check(in.size() == 3, Code::Shape, op, " takes x, weight and bias, got ", in.size());
  const Tensor &x = in[0], &weight = in[1], &bias = in[2];
  check(x.rank() >= 1 && has_gradient(x.dtype), Code::Shape, op,
        " x must be (..., D) of f32 or f64, got ", x.shape, " of ", name_of(x.dtype));
  check(weight.rank() == 2 && weight.dim(1) == x.dim(-1), Code::Shape, op, " weight must be (K, ",
        x.dim(-1), "), got ", weight.shape);
  check(!bias || bias.shape == Shape{weight.dim(0)}, Code::Shape, op, " bias must be (",
        weight.dim(0), "), got ", bias.shape);
  bool one = weight.dtype == x.dtype || (x.dtype == Dtype::BF16 && weight.dtype == Dtype::F32);
  check(one && (!bias || bias.dtype == weight.dtype), Code::Dtype, op,
        " x, weight and bias must have one dtype");
}

// The weight, and the bias of what is stored in bf16.
inline uint64_t rounded_parameters(const Outputs& outputs) {
  return outputs.specs[0].dtype == Dtype::BF16 ? 0b110 : 0b010;
}

// dx = dy weight, dweight = dyᵀ x, dbias = column sums of dy (B, K)
template <class T>
void linear_back(const Run& run, const T* dy) {
  const Array &x = run.in[0], &weight = run.in[1];
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  if (const Gradient& dx = run.din[0])
    gemm<T>(B, D, K, {dy, K}, {weight.as<T>(), D}, dx.as<T>(), D, dx.accumulate);
  if (const Gradient& dweight = run.din[1])
    gemm<T>(K, D, B, {dy, K, true}, {x.as<T>(), D}, dweight.as<T>(), D, dweight.accumulate);
  if (const Gradient& dbias = run.din[2])
    column_sums<T>(B, K, dy, K, dbias.as<T>(), dbias.accumulate);
}

}  // namespace protea
