// weighted_sum: y = Σ_i weights_i x_i
//   x_0 ... x_n-1 (one shape, f32 or f64), attrs weights (n) -> y (same)
//   saves nothing
#include "../core/op.h"
#include "../core/parallel.h"

namespace protea {

Outputs weighted_sum_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(!in.empty(), Code::Shape, "[weighted_sum] takes at least one input");
  for (const Tensor& x : in) {
    check(x.shape == in[0].shape, Code::Shape, "[weighted_sum] shapes differ: ", in[0].shape,
          " and ", x.shape);
    check(is_floating(x.dtype) && x.dtype == in[0].dtype, Code::Dtype,
          "[weighted_sum] inputs must all be f32 or all f64, got ", name_of(x.dtype));
  }
  check(attrs.list("weights").size() == in.size(), Code::Shape, "[weighted_sum] needs ", in.size(),
        " weights, got ", attrs.list("weights").size());
  Outputs outputs{{{in[0].shape, in[0].dtype}}};
  outputs.reads_in = outputs.reads_out = 0;
  return outputs;
}

namespace {

constexpr int64_t grain = 1 << 15;

void forward(const Run& run) {
  std::span<const double> weights = run.attrs.list("weights");
  with_floating(run.out[0].dtype, [&]<class T>() {
    T* y = run.out[0].as<T>();
    parallel_for(run.out[0].size(), grain, [&](int64_t begin, int64_t end) {
      for (size_t n = 0; n < run.in.size(); n++) {
        const T* x = run.in[n].as<T>();
        T w = static_cast<T>(weights[n]);
        for (int64_t i = begin; i < end; i++) y[i] = n ? y[i] + w * x[i] : w * x[i];
      }
    });
  });
}

void backward(const Run& run) {
  std::span<const double> weights = run.attrs.list("weights");
  with_floating(run.dout[0].dtype, [&]<class T>() {
    const T* dy = run.dout[0].as<T>();
    for (size_t n = 0; n < run.din.size(); n++) {
      const Gradient& dx = run.din[n];
      if (!dx) continue;
      T* to = dx.as<T>();
      T w = static_cast<T>(weights[n]);
      parallel_for(run.dout[0].size(), grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) to[i] = dx.accumulate ? to[i] + w * dy[i] : w * dy[i];
      });
    }
  });
}

}  // namespace

extern const Kernel weighted_sum_cpu = {forward, backward};

}  // namespace protea
