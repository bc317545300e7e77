// soft_cross_entropy: loss_b = -Σ_k q_bk log softmax(z_b / temperature)_k
//   logits z (B, K), target q (B, K), attrs temperature -> loss (B)
//   saves softmax(z / temperature) (B, K); the target is a constant. For small K; training uses
//   prototype_cross_entropy, which makes no tensor of this size.
#include "../core/op.h"
#include "../core/parallel.h"
#include "../kernels/rows.h"

namespace protea {

Outputs soft_cross_entropy_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 2, Code::Shape, "[soft_cross_entropy] takes logits and target, got ",
        in.size());
  const Tensor &logits = in[0], &target = in[1];
  check(logits.rank() == 2 && logits.dim(1) > 0 && is_floating(logits.dtype), Code::Shape,
        "[soft_cross_entropy] logits must be (B, K > 0) of f32 or f64, got ", logits.shape);
  check(target.shape == logits.shape && target.dtype == logits.dtype, Code::Shape,
        "[soft_cross_entropy] target must be ", logits.shape, ", got ", target.shape);
  check(attrs.number("temperature") > 0, Code::Unsupported,
        "[soft_cross_entropy] temperature must be > 0, got ", attrs.number("temperature"));
  Outputs outputs{{{Shape{logits.dim(0)}, logits.dtype}, {logits.shape, logits.dtype}}};
  outputs.reads_in = 0b10;
  outputs.reads_out = 0b10;
  outputs.constants = 0b10;
  return outputs;
}

namespace {

constexpr int64_t grain = 4;  // rows

// -Σ q (z / T - lse) with the sum of q, which need not be 1.
void forward(const Run& run) {
  int64_t K = run.in[0].dim(1);
  with_floating(run.in[0].dtype, [&]<class T>() {
    T scale = static_cast<T>(1 / run.attrs.number("temperature"));
    parallel_for(run.in[0].dim(0), grain, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; b++) {
        const T *z = run.in[0].as<T>() + b * K, *q = run.in[1].as<T>() + b * K;
        T lse;
        rows<T>().softmax(1, K, z, scale, run.out[1].as<T>() + b * K, &lse);
        T loss = 0;
        for (int64_t k = 0; k < K; k++) loss += q[k] * (lse - scale * z[k]);
        run.out[0].as<T>()[b] = loss;
      }
    });
  });
}

// dz = dloss / T (p Σ q - q)
void backward(const Run& run) {
  const Gradient& dz = run.din[0];
  if (!dz) return;
  int64_t K = run.out[1].dim(1);
  with_floating(run.out[1].dtype, [&]<class T>() {
    T scale = static_cast<T>(1 / run.attrs.number("temperature"));
    parallel_for(run.out[1].dim(0), grain, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; b++) {
        const T *q = run.in[1].as<T>() + b * K, *p = run.out[1].as<T>() + b * K;
        T total = 0, upstream = run.dout[0].as<T>()[b] * scale, *to = dz.as<T>() + b * K;
        for (int64_t k = 0; k < K; k++) total += q[k];
        for (int64_t k = 0; k < K; k++) {
          T value = upstream * (p[k] * total - q[k]);
          to[k] = dz.accumulate ? to[k] + value : value;
        }
      }
    });
  });
}

}  // namespace

extern const Kernel soft_cross_entropy_cpu = {forward, backward};

}  // namespace protea
