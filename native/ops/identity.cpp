// identity: y = x
//   x (any shape, f32 or f64) -> y (same)
//   saves nothing
//   The op to copy when adding one.
#include <algorithm>

#include "../core/op.h"
#include "../core/parallel.h"

namespace protea {

Outputs identity_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 1, Code::Shape, "[identity] takes one input, got ", in.size());
  const Tensor& x = in[0];
  check(is_floating(x.dtype), Code::Dtype, "[identity] x must be f32 or f64, got ",
        name_of(x.dtype));
  Outputs outputs{{{x.shape, x.dtype}}};
  outputs.reads_in = outputs.reads_out = 0;
  return outputs;
}

namespace {

constexpr int64_t grain = 1 << 16;

void forward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() {
    const T* x = run.in[0].as<T>();
    T* y = run.out[0].as<T>();
    parallel_for(run.in[0].size(), grain,
                 [&](int64_t begin, int64_t end) { std::copy(x + begin, x + end, y + begin); });
  });
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  with_floating(run.in[0].dtype, [&]<class T>() {
    const T* dy = run.dout[0].as<T>();
    T* to = dx.as<T>();
    parallel_for(run.in[0].size(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) to[i] = dx.accumulate ? to[i] + dy[i] : dy[i];
    });
  });
}

}  // namespace

extern const Kernel identity_cpu = {forward, backward};

}  // namespace protea
