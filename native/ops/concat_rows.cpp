// concat_rows: y = [x_0; x_1; ...]
//   x_i (B_i, D) -> y (sum of B_i, D)
//   saves nothing
#include <algorithm>

#include "../core/op.h"

namespace protea {

Outputs concat_rows_infer(std::span<const Tensor> in, const Attrs&) {
  check(!in.empty(), Code::Shape, "[concat_rows] takes at least one input");
  int64_t rows = 0;
  for (const Tensor& x : in) {
    check(x.rank() == 2 && x.dim(1) == in[0].dim(-1), Code::Shape,
          "[concat_rows] inputs must be (B, D) of one D, got ", in[0].shape, " and ", x.shape);
    check(is_floating(x.dtype) && x.dtype == in[0].dtype, Code::Dtype,
          "[concat_rows] inputs must all be f32 or all f64");
    rows += x.dim(0);
  }
  Outputs outputs{{{Shape{rows, in[0].dim(1)}, in[0].dtype}}};
  outputs.reads_in = outputs.reads_out = 0;
  return outputs;
}

namespace {

void forward(const Run& run) {
  with_floating(run.out[0].dtype, [&]<class T>() {
    T* y = run.out[0].as<T>();
    for (const Array& x : run.in) y = std::copy_n(x.as<T>(), x.size(), y);
  });
}

void backward(const Run& run) {
  with_floating(run.dout[0].dtype, [&]<class T>() {
    const T* dy = run.dout[0].as<T>();
    for (size_t i = 0; i < run.din.size(); i++) {
      const Gradient& dx = run.din[i];
      int64_t n = run.in[i].size();
      for (int64_t j = 0; dx && j < n; j++)
        dx.as<T>()[j] = dx.accumulate ? dx.as<T>()[j] + dy[j] : dy[j];
      dy += n;
    }
  });
}

}  // namespace

extern const Kernel concat_rows_cpu = {forward, backward};

}  // namespace protea
