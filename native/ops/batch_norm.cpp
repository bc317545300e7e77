// batch_norm: y = (x - mean) / sqrt(var + eps) weight + bias, mean and biased var over the rows
//   x (B >= 2, D), weight (D), bias (D), attrs eps > 0 -> y (B, D)
//   saves mean (D), 1 / sqrt(var + eps) (D); backward reads x and weight
//   Statistics are those of the batch at hand and nothing is kept: what stands behind it (the head
//   of MSN) is used in training only. Ioffe and Szegedy 2015, "Batch normalization"
#include <cmath>

#include "../core/op.h"
#include "../core/parallel.h"
#include "../core/scratch.h"

namespace protea {

Outputs batch_norm_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 3, Code::Shape, "[batch_norm] takes x, weight and bias, got ", in.size());
  const Tensor& x = in[0];
  check(x.rank() == 2 && x.dim(0) >= 2 && x.dim(1) > 0 && is_floating(x.dtype), Code::Shape,
        "[batch_norm] x must be (B >= 2, D > 0) of f32 or f64, got ", x.shape);
  for (int i = 1; i < 3; i++) {
    const char* name = i == 1 ? "weight" : "bias";
    check(in[i] && in[i].shape == Shape{x.dim(1)}, Code::Shape, "[batch_norm] ", name, " must be (",
          x.dim(1), "), got ", in[i].shape);
    check(in[i].dtype == x.dtype, Code::Dtype, "[batch_norm] x and ", name, " must have one dtype");
  }
  check(attrs.number("eps") > 0, Code::Unsupported, "[batch_norm] eps must be > 0");
  Spec saved{Shape{x.dim(1)}, x.dtype};
  Outputs outputs{{{x.shape, x.dtype}, saved, saved}};
  outputs.reads_in = 0b011;
  outputs.reads_out = 0b110;
  return outputs;
}

namespace {

constexpr int64_t columns = 64;  // of a piece: a column is summed by one thread, in row order

// to[d] = Σ_b value(b, d) over columns [begin, end), in double.
template <class Value>
void sum_columns(int64_t B, int64_t begin, int64_t end, double* to, Value&& value) {
  for (int64_t d = begin; d < end; d++) to[d - begin] = 0;
  for (int64_t b = 0; b < B; b++)
    for (int64_t d = begin; d < end; d++) to[d - begin] += value(b, d);
}

void forward(const Run& run) {
  int64_t B = run.in[0].dim(0), D = run.in[0].dim(1);
  with_floating(run.in[0].dtype, [&]<class T>() {
    const T *x = run.in[0].as<T>(), *weight = run.in[1].as<T>(), *bias = run.in[2].as<T>();
    T *y = run.out[0].as<T>(), *mean = run.out[1].as<T>(), *rstd = run.out[2].as<T>();
    parallel_for(D, columns, [&](int64_t begin, int64_t end) {
      double sums[columns], squares[columns];
      sum_columns(B, begin, end, sums, [&](int64_t b, int64_t d) { return x[b * D + d]; });
      sum_columns(B, begin, end, squares, [&](int64_t b, int64_t d) {
        double off = x[b * D + d] - sums[d - begin] / B;
        return off * off;
      });
      for (int64_t d = begin; d < end; d++) {
        mean[d] = static_cast<T>(sums[d - begin] / B);
        double var = squares[d - begin] / B + run.attrs.number("eps");
        rstd[d] = static_cast<T>(1 / std::sqrt(var));
      }
      for (int64_t b = 0; b < B; b++)
        for (int64_t d = begin; d < end; d++)
          y[b * D + d] = (x[b * D + d] - mean[d]) * rstd[d] * weight[d] + bias[d];
    });
  });
}

template <class T>
void put(const Gradient& to, int64_t i, T value) {
  if (to) to.as<T>()[i] = to.accumulate ? to.as<T>()[i] + value : value;
}

// dx = rstd weight (dy - mean_b dy - x̂ mean_b(dy x̂)), x̂ = (x - mean) rstd
void backward(const Run& run) {
  int64_t B = run.in[0].dim(0), D = run.in[0].dim(1);
  with_floating(run.in[0].dtype, [&]<class T>() {
    const T *x = run.in[0].as<T>(), *weight = run.in[1].as<T>(), *dy = run.dout[0].as<T>();
    const T *mean = run.out[1].as<T>(), *rstd = run.out[2].as<T>();
    parallel_for(D, columns, [&](int64_t begin, int64_t end) {
      double sums[columns], products[columns];
      auto normed = [&](int64_t b, int64_t d) { return (x[b * D + d] - mean[d]) * rstd[d]; };
      sum_columns(B, begin, end, sums, [&](int64_t b, int64_t d) { return dy[b * D + d]; });
      sum_columns(B, begin, end, products, [&](int64_t b, int64_t d) {
        return static_cast<double>(dy[b * D + d]) * normed(b, d);
      });
      for (int64_t d = begin; d < end; d++) {
        put<T>(run.din[1], d, static_cast<T>(products[d - begin]));
        put<T>(run.din[2], d, static_cast<T>(sums[d - begin]));
      }
      if (!run.din[0]) return;
      for (int64_t b = 0; b < B; b++)
        for (int64_t d = begin; d < end; d++) {
          double centred =
              dy[b * D + d] - (sums[d - begin] + normed(b, d) * products[d - begin]) / B;
          put<T>(run.din[0], b * D + d, static_cast<T>(rstd[d] * weight[d] * centred));
        }
    });
  });
}

}  // namespace

extern const Kernel batch_norm_cpu = {forward, backward};

}  // namespace protea
