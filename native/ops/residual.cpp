// residual: y = x + keep_b / (1 - drop) gamma branch
//   x (B, ..., D), branch (same), gamma (D) or none (LayerScale), keep (B) of 0 and 1 or none
//   (drop path, one draw an image), attrs drop in [0, 1) -> y (same)
//   branch may be stored in bf16 beside x in f32 (op.h, rounded)
//   saves nothing; backward reads branch, gamma and keep, which is a constant
//   Touvron et al. 2021, "Going deeper with image transformers"; Huang et al. 2016, "Deep networks
//   with stochastic depth"
#include "../core/op.h"
#include "../core/parallel.h"
#include "../core/scratch.h"
#include "../kernels/column_sums.h"

namespace protea {

Outputs residual_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 4, Code::Shape, "[residual] takes x, branch, gamma and keep, got ", in.size());
  const Tensor &x = in[0], &branch = in[1], &gamma = in[2], &keep = in[3];
  check(x.rank() >= 2 && is_floating(x.dtype), Code::Shape,
        "[residual] x must be (B, ..., D) of f32 or f64, got ", x.shape);
  bool rounded = branch.dtype == Dtype::BF16 && x.dtype == Dtype::F32;
  check(branch.shape == x.shape && (branch.dtype == x.dtype || rounded), Code::Shape,
        "[residual] branch must be ", x.shape, ", got ", branch.shape);
  check(!gamma || (gamma.shape == Shape{x.dim(-1)} && gamma.dtype == x.dtype), Code::Shape,
        "[residual] gamma must be (", x.dim(-1), "), got ", gamma.shape);
  check(!keep || (keep.shape == Shape{x.dim(0)} && keep.dtype == x.dtype), Code::Shape,
        "[residual] keep must be (", x.dim(0), "), got ", keep.shape);
  double drop = attrs.number("drop", 0);
  check(drop >= 0 && drop < 1, Code::Unsupported, "[residual] drop must be in [0, 1), got ", drop);
  Outputs outputs{{{x.shape, x.dtype}}};
  // branch itself is read for dgamma alone.
  outputs.reads_in = gamma ? 0b1110 : 0b1100;
  outputs.reads_out = 0;
  outputs.constants = 0b1000;
  outputs.passed = gamma || keep || rounded ? 0b01 : 0b11;
  return outputs;
}

namespace {

constexpr int64_t grain = 32;  // rows

template <class T>
struct Scale {
  const T* keep;
  T inverse;
  int64_t rows_per_image;

  explicit Scale(const Run& run)
      : keep(run.in[3].as<T>()),
        inverse(static_cast<T>(1 / (1 - run.attrs.number("drop", 0)))),
        rows_per_image(run.in[0].shape.rows() / run.in[0].dim(0)) {}

  T of(int64_t row) const { return keep ? keep[row / rows_per_image] * inverse : T(1); }
};

void forward(const Run& run) {
  int64_t D = run.in[0].dim(-1);
  with_floating(run.in[0].dtype, [&]<class T>() {
    const T* gamma = run.in[2].as<T>();
    Scale<T> scale(run);
    parallel_for(run.in[0].shape.rows(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const T *x = run.in[0].as<T>() + i * D, *branch = run.in[1].as<T>() + i * D;
        T *y = run.out[0].as<T>() + i * D, s = scale.of(i);
        for (int64_t d = 0; d < D; d++) y[d] = x[d] + (gamma ? s * gamma[d] : s) * branch[d];
      }
    });
  });
}

template <class T>
void back_branch(const Run& run, const Scale<T>& scale, const T* gamma) {
  const Gradient& dbranch = run.din[1];
  int64_t D = dbranch.array.dim(-1);
  parallel_for(dbranch.array.shape.rows(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const T* dy = run.dout[0].as<T>() + i * D;
      T *to = dbranch.as<T>() + i * D, s = scale.of(i);
      for (int64_t d = 0; d < D; d++) {
        T value = (gamma ? s * gamma[d] : s) * dy[d];
        to[d] = dbranch.accumulate ? to[d] + value : value;
      }
    }
  });
}

// dgamma = column sums of scale dy branch
template <class T>
void back_gamma(const Run& run, const Scale<T>& scale) {
  const Array& branch = run.in[1];
  int64_t rows = branch.shape.rows(), D = branch.dim(-1);
  T* product = scratch<T>(0, rows * D);
  parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t d = i * D; d < (i + 1) * D; d++)
        product[d] = scale.of(i) * run.dout[0].as<T>()[d] * branch.as<T>()[d];
  });
  column_sums<T>(rows, D, product, D, run.din[2].as<T>(), run.din[2].accumulate);
}

void backward(const Run& run) {
  with_floating(run.dout[0].dtype, [&]<class T>() {
    const T* gamma = run.in[2].as<T>();
    Scale<T> scale(run);
    if (const Gradient& dx = run.din[0])
      parallel_for(run.dout[0].size(), 1 << 14, [&](int64_t begin, int64_t end) {
        const T* dy = run.dout[0].as<T>();
        for (int64_t i = begin; i < end; i++)
          dx.as<T>()[i] = dx.accumulate ? dx.as<T>()[i] + dy[i] : dy[i];
      });
    if (run.din[1]) back_branch<T>(run, scale, gamma);
    if (run.din[2]) back_gamma<T>(run, scale);
  });
}

}  // namespace

extern const Kernel residual_cpu = {forward, backward};

}  // namespace protea
