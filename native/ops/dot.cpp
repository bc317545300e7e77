// dot: s = Σ_i a_i b_i
//   a, b (one shape, f32 or f64) -> s ()
//   saves nothing; backward reads a and b. Sums in double, piece by piece, in a fixed order.
#include <vector>

#include "../core/op.h"
#include "../core/parallel.h"

namespace protea {

Outputs dot_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 2, Code::Shape, "[dot] takes two inputs, got ", in.size());
  check(in[0].shape == in[1].shape, Code::Shape, "[dot] shapes differ: ", in[0].shape, " and ",
        in[1].shape);
  check(is_floating(in[0].dtype) && in[0].dtype == in[1].dtype, Code::Dtype,
        "[dot] inputs must both be f32 or f64");
  Outputs outputs{{{Shape{}, in[0].dtype}}};
  outputs.reads_out = 0;
  return outputs;
}

namespace {

constexpr int64_t grain = 1 << 14;

void forward(const Run& run) {
  int64_t n = run.in[0].size();
  std::vector<double> partial(ceil_div(n, grain));
  with_floating(run.in[0].dtype, [&]<class T>() {
    const T *a = run.in[0].as<T>(), *b = run.in[1].as<T>();
    parallel_for(n, grain, [&](int64_t begin, int64_t end) {
      double sum = 0;
      for (int64_t i = begin; i < end; i++) sum += static_cast<double>(a[i]) * b[i];
      partial[begin / grain] = sum;
    });
    double sum = 0;
    for (double part : partial) sum += part;
    *run.out[0].as<T>() = static_cast<T>(sum);
  });
}

// da = ds b, db = ds a
void backward(const Run& run) {
  with_floating(run.in[0].dtype, [&]<class T>() {
    T ds = *run.dout[0].as<T>();
    for (int side = 0; side < 2; side++) {
      const Gradient& dx = run.din[side];
      if (!dx) continue;
      const T* other = run.in[1 - side].as<T>();
      T* to = dx.as<T>();
      parallel_for(run.in[0].size(), grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++)
          to[i] = dx.accumulate ? to[i] + ds * other[i] : ds * other[i];
      });
    }
  });
}

}  // namespace

extern const Kernel dot_cpu = {forward, backward};

}  // namespace protea
