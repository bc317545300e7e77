// attention_probabilities: p = softmax(scale q kᵀ), head by head, to look at
//   qkv (B, N, 3 D), attrs heads, scale (default (D / heads)^-1/2) -> p (B, heads, N, N)
//   no gradient
#include "../core/parallel.h"
#include "../kernels/rows.h"
#include "attention.h"

namespace protea {

Outputs attention_probabilities_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check_attention("[attention_probabilities]", in, attrs);
  check(is_floating(in[0].dtype), Code::Dtype,
        "[attention_probabilities] takes one qkv of f32 or f64");
  AttentionShape s(in[0].shape, attrs);
  return {{{Shape{s.B, s.heads, s.N, s.N}, in[0].dtype}}};
}

namespace {

void forward(const Run& run) {
  AttentionShape s(run.in[0].shape, run.attrs);
  with_floating(run.in[0].dtype, [&]<class T>() {
    parallel_for(s.pieces(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; piece++) {
        T* p = run.out[0].as<T>() + piece * s.N * s.N;
        attention_scores<T>(s, run.in[0].as<T>(), piece, p);
        rows<T>().softmax(s.N, s.N, p, static_cast<T>(s.scale), p, nullptr);
      }
    });
  });
}

}  // namespace

extern const Kernel attention_probabilities_cpu = {forward, nullptr};

}  // namespace protea
