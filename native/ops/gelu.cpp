// gelu: y = x Φ(x), Φ the standard normal distribution function (exact, by erf)
//   x (any shape) -> y (same)
//   saves nothing; backward reads x
#include "../core/op.h"
#include "../core/parallel.h"
#include "../kernels/elementwise.h"

namespace protea {

Outputs gelu_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 1 && is_floating(in[0].dtype), Code::Dtype,
        "[gelu] takes one x of f32 or f64");
  Outputs outputs{{{in[0].shape, in[0].dtype}}};
  outputs.reads_out = 0;
  return outputs;
}

namespace {

constexpr int64_t grain = 1 << 14;

void forward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() {
    parallel_for(run.in[0].size(), grain, [&](int64_t begin, int64_t end) {
      elementwise<T>().gelu(end - begin, run.in[0].as<T>() + begin, run.out[0].as<T>() + begin);
    });
  });
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  with_floating(run.in[0].dtype, [&]<class T>() {
    parallel_for(run.in[0].size(), grain, [&](int64_t begin, int64_t end) {
      elementwise<T>().gelu_back(end - begin, run.in[0].as<T>() + begin,
                                 run.dout[0].as<T>() + begin, dx.as<T>() + begin, dx.accumulate);
    });
  });
}

}  // namespace

extern const Kernel gelu_cpu = {forward, backward};

}  // namespace protea
