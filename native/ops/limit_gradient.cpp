// limit_gradient: y = x, and in backward dx = dy min(1, limit / (||dy||_2 + 1e-6))
//   x (any shape, f32 or f64), attrs limit > 0 -> y (same)
//   saves nothing. Stands in front of one term of a loss, so that this term alone is clipped and
//   cannot crowd out the others when their sum is clipped later.
#include <algorithm>
#include <cmath>
#include <vector>

#include "../core/op.h"
#include "../core/parallel.h"

namespace protea {

Outputs limit_gradient_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1, Code::Shape, "[limit_gradient] takes one input, got ", in.size());
  const Tensor& x = in[0];
  check(is_floating(x.dtype), Code::Dtype, "[limit_gradient] x must be f32 or f64, got ",
        name_of(x.dtype));
  check(attrs.number("limit") > 0, Code::Unsupported, "[limit_gradient] limit must be > 0, got ",
        attrs.number("limit"));
  Outputs outputs{{{x.shape, x.dtype}}};
  outputs.reads_in = outputs.reads_out = 0;
  return outputs;
}

namespace {

constexpr int64_t grain = 1 << 14;

void forward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() {
    const T* x = run.in[0].as<T>();
    T* y = run.out[0].as<T>();
    parallel_for(run.in[0].size(), grain,
                 [&](int64_t begin, int64_t end) { std::copy(x + begin, x + end, y + begin); });
  });
}

// Sums in double, piece by piece, then over the pieces.
template <class T>
double norm_of(const T* x, int64_t n) {
  std::vector<double> partial(ceil_div(n, grain));
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; i++) sum += static_cast<double>(x[i]) * x[i];
    partial[begin / grain] = sum;
  });
  double sum = 0;
  for (double part : partial) sum += part;
  return std::sqrt(sum);
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  int64_t n = run.dout[0].size();
  with_floating(run.dout[0].dtype, [&]<class T>() {
    const T* dy = run.dout[0].as<T>();
    T* to = dx.as<T>();
    T s = static_cast<T>(std::min(1.0, run.attrs.number("limit") / (norm_of(dy, n) + 1e-6)));
    parallel_for(n, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) to[i] = dx.accumulate ? to[i] + s * dy[i] : s * dy[i];
    });
  });
}

}  // namespace

extern const Kernel limit_gradient_cpu = {forward, backward};

}  // namespace protea
