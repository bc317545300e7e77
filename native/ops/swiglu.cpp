// swiglu: y = silu(a) b, silu(a) = a / (1 + e^-a), x = [a, b] along the last dimension
//   x (..., 2 H) -> y (..., H)
//   what is stored in bf16 (op.h, rounded) gives y stored so
//   saves nothing; backward reads x
//   Shazeer 2020, "GLU variants improve transformer"
#include "../core/op.h"
#include "../core/parallel.h"
#include "../kernels/elementwise.h"

namespace protea {

Outputs swiglu_infer(std::span<const Tensor> in, const Attrs&) {
  check(in.size() == 1 && has_gradient(in[0].dtype), Code::Dtype,
        "[swiglu] takes one x of f32, f64 or stored bf16");
  const Tensor& x = in[0];
  check(x.rank() >= 1 && x.dim(-1) % 2 == 0, Code::Shape, "[swiglu] x must be (..., 2 H), got ",
        x.shape);
  Outputs outputs{{{x.shape.with_last(x.dim(-1) / 2), x.dtype}}};
  outputs.reads_out = 0;
  return outputs;
}

namespace {

constexpr int64_t grain = 16;  // rows

void forward(const Run& run) {
  int64_t H = run.out[0].dim(-1);
  with_floating(run.in[0].dtype, [&]<class T>() {
    parallel_for(run.out[0].shape.rows(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const T* a = run.in[0].as<T>() + 2 * i * H;
        elementwise<T>().swiglu(H, a, a + H, run.out[0].as<T>() + i * H);
      }
    });
  });
}

void backward(const Run& run) {
  const Gradient& dx = run.din[0];
  if (!dx) return;
  int64_t H = run.dout[0].dim(-1);
  with_floating(run.in[0].dtype, [&]<class T>() {
    parallel_for(run.dout[0].shape.rows(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const T* a = run.in[0].as<T>() + 2 * i * H;
        T* da = dx.as<T>() + 2 * i * H;
        elementwise<T>().swiglu_back(H, a, a + H, run.dout[0].as<T>() + i * H, da, da + H,
                                     dx.accumulate);
      }
    });
  });
}

}  // namespace

extern const Kernel swiglu_cpu = {forward, backward};

}  // namespace protea
