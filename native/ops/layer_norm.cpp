// layer_norm: y = (x - mean) / sqrt(var + eps) weight + bias, mean and biased var over the last dim
//   x (..., D), weight (D), bias (D), attrs eps, rounded (op.h) -> y (..., D)
//   saves mean (rows), 1 / sqrt(var + eps) (rows); backward reads x and weight
//   Ba, Kiros and Hinton 2016, "Layer normalization"
#include "../core/op.h"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "../kernels/elementwise.h"
#include "../kernels/rows.h"

namespace protea {

Outputs layer_norm_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 3, Code::Shape, "[layer_norm] takes x, weight and bias, got ", in.size());
  const Tensor& x = in[0];
  check(x.rank() >= 1 && x.dim(-1) > 0 && is_floating(x.dtype), Code::Shape,
        "[layer_norm] x must be (..., D > 0) of f32 or f64, got ", x.shape);
  for (int i = 1; i < 3; i++) {
    const char* name = i == 1 ? "weight" : "bias";
    check(in[i] && in[i].shape == Shape{x.dim(-1)}, Code::Shape, "[layer_norm] ", name,
          " must be (", x.dim(-1), "), got ", in[i].shape);
    check(in[i].dtype == x.dtype, Code::Dtype, "[layer_norm] x and ", name, " must have one dtype");
  }
  check(attrs.number("eps") > 0, Code::Unsupported, "[layer_norm] eps must be > 0");
  Spec saved{Shape{x.shape.rows()}, x.dtype};
  Outputs outputs{{{x.shape, stored_dtype(x, attrs)}, saved, saved}};
  outputs.reads_in = 0b011;
  outputs.reads_out = 0b110;
  return outputs;
}

namespace {

constexpr int64_t grain = 32;  // rows

void forward(const Run& run) {
  const Array& x = run.in[0];
  int64_t D = x.dim(-1);
  with_floating(x.dtype, [&]<class T>() {
    T eps = static_cast<T>(run.attrs.number("eps"));
    parallel_for(x.shape.rows(), grain, [&](int64_t begin, int64_t end) {
      rows<T>().layer_norm(end - begin, D, x.as<T>() + begin * D, run.in[1].as<T>(),
                           run.in[2].as<T>(), eps, run.out[0].as<T>() + begin * D,
                           run.out[1].as<T>() + begin, run.out[2].as<T>() + begin);
    });
  });
}

// The sums over rows are taken piece by piece, then over the pieces.
template <class T>
void back_parameters(const Run& run) {
  const Array &x = run.in[0], &dy = run.dout[0];
  int64_t B = x.shape.rows(), D = x.dim(-1), pieces = ceil_div(B, grain);
  T* dweight = scratch<T>(0, pieces * D);
  T* dbias = scratch<T>(1, pieces * D);
  parallel_for(B, grain, [&](int64_t begin, int64_t end) {
    int64_t at = begin / grain * D;
    rows<T>().layer_norm_dparameters(end - begin, D, x.as<T>() + begin * D,
                                     run.out[1].as<T>() + begin, run.out[2].as<T>() + begin,
                                     dy.as<T>() + begin * D, dweight + at, dbias + at);
  });
  if (const Gradient& to = run.din[1])
    elementwise<T>().add_rows(pieces, D, dweight, D, to.as<T>(), to.accumulate);
  if (const Gradient& to = run.din[2])
    elementwise<T>().add_rows(pieces, D, dbias, D, to.as<T>(), to.accumulate);
}

void backward(const Run& run) {
  const Array &x = run.in[0], &dy = run.dout[0];
  int64_t D = x.dim(-1);
  with_floating(x.dtype, [&]<class T>() {
    if (const Gradient& dx = run.din[0])
      parallel_for(x.shape.rows(), grain, [&](int64_t begin, int64_t end) {
        rows<T>().layer_norm_dx(end - begin, D, x.as<T>() + begin * D, run.in[1].as<T>(),
                                run.out[1].as<T>() + begin, run.out[2].as<T>() + begin,
                                dy.as<T>() + begin * D, dx.as<T>() + begin * D, dx.accumulate);
      });
    if (run.din[1] || run.din[2]) back_parameters<T>(run);
  });
}

}  // namespace

extern const Kernel layer_norm_cpu = {forward, backward};

}  // namespace protea
