// linear: y = x weightᵀ + bias
//   x (..., D), weight (K, D), bias (K) or none, attrs rounded (op.h) -> y (..., K)
//   saves nothing; backward reads x and weight
#include "linear.h"

namespace protea {

Outputs linear_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check_linear("[linear]", in);
  Outputs outputs{{{in[0].shape.with_last(in[1].dim(0)), stored_dtype(in[0], attrs)}}};
  outputs.reads_in = 0b011;
  outputs.rounded = rounded_parameters(outputs);
  outputs.reads_out = 0;
  return outputs;
}

namespace {

void forward(const Run& run) {
  const Array &x = run.in[0], &weight = run.in[1], &bias = run.in[2];
  int64_t B = x.shape.rows(), D = x.dim(-1), K = weight.dim(0);
  with_floating(x.dtype, [&]<class T>() {
    Epilogue<T> epilogue{bias.as<T>()};
    gemm<T>(B, K, D, {x.as<T>(), D}, {weight.as<T>(), D, true}, run.out[0].as<T>(), K, false,
            epilogue);
  });
}

void backward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() { linear_back<T>(run, run.dout[0].as<T>()); });
}

}  // namespace

extern const Kernel linear_cpu = {forward, backward};

}  // namespace protea
