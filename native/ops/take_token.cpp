// take_token: y_b = x_b,index: one token of every image
//   x (B, N, D), attrs index in [0, N) -> y (B, D)
//   saves nothing
#include <algorithm>

#include "../core/op.h"
#include "../core/parallel.h"

namespace protea {

Outputs take_token_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1 && is_floating(in[0].dtype), Code::Dtype,
        "[take_token] takes one x of f32 or f64");
  const Tensor& x = in[0];
  check(x.rank() == 3, Code::Shape, "[take_token] x must be (B, N, D), got ", x.shape);
  int64_t index = attrs.integer("index");
  check(index >= 0 && index < x.dim(1), Code::Shape, "[take_token] index must be in [0, ", x.dim(1),
        "), got ", index);
  Outputs outputs{{{Shape{x.dim(0), x.dim(2)}, x.dtype}}};
  outputs.reads_in = outputs.reads_out = 0;
  return outputs;
}

namespace {

void forward(const Run& run) {
  const Array& x = run.in[0];
  int64_t N = x.dim(1), D = x.dim(2), index = run.attrs.integer("index");
  with_floating(x.dtype, [&]<class T>() {
    for (int64_t b = 0; b < x.dim(0); b++)
      std::copy_n(x.as<T>() + (b * N + index) * D, D, run.out[0].as<T>() + b * D);
  });
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  int64_t N = dx.array.dim(1), D = dx.array.dim(2), index = run.attrs.integer("index");
  with_floating(run.dout[0].dtype, [&]<class T>() {
    parallel_for(dx.array.dim(0), 1, [&](int64_t begin, int64_t end) {
      T* to = dx.as<T>();
      if (!dx.accumulate) std::fill(to + begin * N * D, to + end * N * D, T(0));
      for (int64_t b = begin; b < end; b++)
        for (int64_t d = 0; d < D; d++)
          to[(b * N + index) * D + d] += run.dout[0].as<T>()[b * D + d];
    });
  });
}

}  // namespace

extern const Kernel take_token_cpu = {forward, backward};

}  // namespace protea
