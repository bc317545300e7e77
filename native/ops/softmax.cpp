// softmax: y = softmax(x / temperature) over the last dimension, or its logarithm
//   x (..., K), attrs temperature, log (0 or 1) -> y (..., K)
//   saves nothing; backward reads y
#include <algorithm>
#include <cmath>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "../kernels/rows.h"

namespace protea {

Outputs softmax_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 1 && is_floating(in[0].dtype), Code::Dtype,
        "[softmax] takes one x of f32 or f64");
  const Tensor& x = in[0];
  check(x.rank() >= 1 && x.dim(-1) > 0, Code::Shape, "[softmax] x must be (..., K > 0), got ",
        x.shape);
  check(attrs.number("temperature") > 0, Code::Unsupported,
        "[softmax] temperature must be > 0, got ", attrs.number("temperature"));
  Outputs outputs{{{x.shape, x.dtype}}};
  outputs.reads_in = 0;
  return outputs;
}

namespace {

constexpr int64_t grain = 8;  // rows

void forward(const Run& run) {
  const Array& x = run.in[0];
  int64_t K = x.dim(-1);
  bool log = run.attrs.integer("log", 0);
  with_floating(x.dtype, [&]<class T>() {
    T scale = static_cast<T>(1 / run.attrs.number("temperature"));
    parallel_for(x.shape.rows(), grain, [&](int64_t begin, int64_t end) {
      T lse[grain];
      const T* from = x.as<T>() + begin * K;
      T* to = run.out[0].as<T>() + begin * K;
      rows<T>().softmax(end - begin, K, from, scale, to, lse);
      if (!log) return;
      for (int64_t i = 0; i < end - begin; i++)
        for (int64_t k = 0; k < K; k++) to[i * K + k] = from[i * K + k] * scale - lse[i];
    });
  });
}

// log: dx = (dy - p sum dy) / temperature
template <class T>
void back_log(int64_t count, int64_t K, const T* y, const T* dy, T scale, T* dx, bool accumulate) {
  for (int64_t i = 0; i < count; i++) {
    T sum = 0;
    for (int64_t k = 0; k < K; k++) sum += dy[i * K + k];
    for (int64_t k = 0; k < K; k++) {
      T d = scale * (dy[i * K + k] - std::exp(y[i * K + k]) * sum);
      dx[i * K + k] = accumulate ? dx[i * K + k] + d : d;
    }
  }
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  const Array &y = run.out[0], &dy = run.dout[0];
  int64_t K = y.dim(-1);
  bool log = run.attrs.integer("log", 0);
  with_floating(y.dtype, [&]<class T>() {
    T scale = static_cast<T>(1 / run.attrs.number("temperature"));
    parallel_for(y.shape.rows(), grain, [&](int64_t begin, int64_t end) {
      int64_t at = begin * K;
      auto back = log ? back_log<T> : rows<T>().softmax_back;
      back(end - begin, K, y.as<T>() + at, dy.as<T>() + at, scale, dx.as<T>() + at, dx.accumulate);
    });
  });
}

}  // namespace

extern const Kernel softmax_cpu = {forward, backward};

}  // namespace protea
