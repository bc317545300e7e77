// gather_rows: y_m = x_index(m)
//   x (R, D), index (M) i32 in [0, R) -> y (M, D)
//   saves nothing; backward reads index and adds rows in the order of m, so a row taken twice gets
//   the sum in a fixed order. An index out of range is an error when the op runs.
#include <algorithm>

#include "../core/op.h"

namespace protea {

Outputs gather_rows_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 2, Code::Shape, "[gather_rows] takes x and index, got ", in.size());
  const Tensor &x = in[0], &index = in[1];
  check(x.rank() == 2 && is_floating(x.dtype), Code::Shape,
        "[gather_rows] x must be (R, D) of f32 or f64, got ", x.shape);
  check(index.rank() == 1 && index.dtype == Dtype::I32, Code::Dtype,
        "[gather_rows] index must be (M) of i32, got ", index.shape, " of ", name_of(index.dtype));
  Outputs outputs{{{Shape{index.dim(0), x.dim(1)}, x.dtype}}};
  outputs.reads_in = 0b10;
  outputs.reads_out = 0;
  return outputs;
}

namespace {

void forward(const Run& run) {
  const Array &x = run.in[0], &index = run.in[1];
  int64_t R = x.dim(0), D = x.dim(1);
  with_floating(x.dtype, [&]<class T>() {
    for (int64_t m = 0; m < index.size(); m++) {
      int32_t row = index.as<int32_t>()[m];
      check(row >= 0 && row < R, Code::Shape, "[gather_rows] index ", row, " is not in [0, ", R,
            ")");
      std::copy_n(x.as<T>() + row * D, D, run.out[0].as<T>() + m * D);
    }
  });
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  int64_t D = dx.array.dim(1);
  with_floating(run.dout[0].dtype, [&]<class T>() {
    if (!dx.accumulate) std::fill_n(dx.as<T>(), dx.array.size(), T(0));
    for (int64_t m = 0; m < run.in[1].size(); m++) {
      T* to = dx.as<T>() + run.in[1].as<int32_t>()[m] * D;
      for (int64_t d = 0; d < D; d++) to[d] += run.dout[0].as<T>()[m * D + d];
    }
  });
}

}  // namespace

extern const Kernel gather_rows_cpu = {forward, backward};

}  // namespace protea
