// attention: y = softmax(scale q kᵀ) v, head by head
//   qkv (B, N, 3 D), attrs heads, scale (default (D / heads)^-1/2) -> y (B, N, D)
//   what is stored in bf16 (op.h, rounded) gives y stored so
//   saves the log-sum-exp of every row (B, heads, N); backward reads qkv and computes the
//   probabilities again, so nothing of size N x N is kept
//   Vaswani et al. 2017, "Attention is all you need"
#include "attention.h"

#include "../core/parallel.h"
#include "../core/scratch.h"
#include "../kernels/rows.h"

namespace protea {

Outputs attention_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check_attention("[attention]", in, attrs);
  AttentionShape s(in[0].shape, attrs);
  Dtype saved = in[0].dtype == Dtype::BF16 ? Dtype::F32 : in[0].dtype;
  Outputs outputs{{{Shape{s.B, s.N, s.D}, in[0].dtype}, {Shape{s.B, s.heads, s.N}, saved}}};
  // The CUDA kernel takes the row sums of p dp from y, the CPU's from p, which it has at hand.
  outputs.reads_out = in[0].device == Device::Cuda ? 0b11 : 0b10;
  return outputs;
}

namespace {

template <class T>
void forward_piece(const AttentionShape& s, const Run& run, int64_t piece) {
  const T* qkv = run.in[0].as<T>();
  T* p = scratch<T>(0, s.N * s.N);
  attention_scores<T>(s, qkv, piece, p);
  rows<T>().softmax(s.N, s.N, p, static_cast<T>(s.scale), p, run.out[1].as<T>() + piece * s.N);
  gemm<T>(s.N, s.width, s.N, {p, s.N}, {qkv + s.query(piece) + 2 * s.D, 3 * s.D},
          run.out[0].as<T>() + s.output(piece), s.D, false);
}

// dP = dy vᵀ, dS = scale P (dP - rowsum(P dP)); dq = dS k, dk = dSᵀ q, dv = Pᵀ dy
template <class T>
void backward_piece(const AttentionShape& s, const Run& run, int64_t piece) {
  int64_t N = s.N, stride = 3 * s.D;
  const T* q = run.in[0].as<T>() + s.query(piece);
  const T *k = q + s.D, *v = q + 2 * s.D, *dy = run.dout[0].as<T>() + s.output(piece);
  T *p = scratch<T>(0, N * N), *ds = scratch<T>(1, N * N);
  T scale = static_cast<T>(s.scale);
  attention_scores<T>(s, run.in[0].as<T>(), piece, p);
  rows<T>().softmax_again(N, N, p, scale, run.out[1].as<T>() + piece * N, p);
  gemm<T>(N, N, s.width, {dy, s.D}, {v, stride, true}, ds, N, false);
  rows<T>().softmax_back(N, N, p, ds, scale, ds, false);

  T* dq = run.din[0].as<T>() + s.query(piece);
  bool add = run.din[0].accumulate;
  gemm<T>(N, s.width, N, {ds, N}, {k, stride}, dq, stride, add);
  gemm<T>(N, s.width, N, {ds, N, true}, {q, stride}, dq + s.D, stride, add);
  gemm<T>(N, s.width, N, {p, N, true}, {dy, s.D}, dq + 2 * s.D, stride, add);
}

void forward(const Run& run) {
  AttentionShape s(run.in[0].shape, run.attrs);
  with_floating(run.in[0].dtype, [&]<class T>() {
    parallel_for(s.pieces(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; piece++) forward_piece<T>(s, run, piece);
    });
  });
}

void backward(const Run& run) {
  if (!run.din[0]) return;
  AttentionShape s(run.in[0].shape, run.attrs);
  with_floating(run.in[0].dtype, [&]<class T>() {
    parallel_for(s.pieces(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; piece++) backward_piece<T>(s, run, piece);
    });
  });
}

}  // namespace

extern const Kernel attention_cpu = {forward, backward};

}  // namespace protea
