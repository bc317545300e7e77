// log: y = log(max(x, smallest normal number)), element by element
//   x (any shape) -> y (same)
//   dx = dy / max(x, smallest): with x = 0 both x log x and its gradient times x are 0
//   saves nothing; backward reads x
#include <algorithm>
#include <cmath>
#include <limits>

#include "../core/op.h"
#include "../core/parallel.h"

namespace protea {

Outputs log_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 1 && is_floating(in[0].dtype), Code::Dtype, "[log] takes one x of f32 or f64");
  Outputs outputs{{{in[0].shape, in[0].dtype}}};
  outputs.reads_in = 1;
  outputs.reads_out = 0;
  return outputs;
}

namespace {

void forward(const Run& run) {
  const Array& x = run.in[0];
  with_floating(x.dtype, [&]<class T>() {
    parallel_for(x.size(), 1 << 12, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++)
        run.out[0].as<T>()[i] = std::log(std::max(x.as<T>()[i], std::numeric_limits<T>::min()));
    });
  });
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  const Array &x = run.in[0], &dy = run.dout[0];
  with_floating(x.dtype, [&]<class T>() {
    parallel_for(x.size(), 1 << 12, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        T d = dy.as<T>()[i] / std::max(x.as<T>()[i], std::numeric_limits<T>::min());
        dx.as<T>()[i] = dx.accumulate ? dx.as<T>()[i] + d : d;
      }
    });
  });
}

}  // namespace

extern const Kernel log_cpu = {forward, backward};

}  // namespace protea
