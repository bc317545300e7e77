// mean_rows: y = 1/B Σ_b x_b
//   x (B > 0, D) -> y (D)
//   saves nothing
#include "../core/op.h"
#include "../kernels/column_sums.h"

namespace protea {

Outputs mean_rows_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 1 && is_floating(in[0].dtype), Code::Dtype,
        "[mean_rows] takes one x of f32 or f64");
  const Tensor& x = in[0];
  check(x.rank() == 2 && x.dim(0) > 0, Code::Shape, "[mean_rows] x must be (B > 0, D), got ",
        x.shape);
  Outputs outputs{{{Shape{x.dim(1)}, x.dtype}}};
  outputs.reads_in = outputs.reads_out = 0;
  return outputs;
}

namespace {

void forward(const Run& run) {
  const Array& x = run.in[0];
  int64_t B = x.dim(0), D = x.dim(1);
  with_floating(x.dtype, [&]<class T>() {
    T* y = run.out[0].as<T>();
    column_sums<T>(B, D, x.as<T>(), D, y, false);
    for (int64_t d = 0; d < D; d++) y[d] /= static_cast<T>(B);
  });
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  int64_t B = dx.array.dim(0), D = dx.array.dim(1);
  with_floating(run.dout[0].dtype, [&]<class T>() {
    T* to = dx.as<T>();
    for (int64_t i = 0; i < B * D; i++) {
      T value = run.dout[0].as<T>()[i % D] / static_cast<T>(B);
      to[i] = dx.accumulate ? to[i] + value : value;
    }
  });
}

}  // namespace

extern const Kernel mean_rows_cpu = {forward, backward};

}  // namespace protea
