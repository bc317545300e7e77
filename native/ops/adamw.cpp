// adamw: one step of AdamW over many parameters, with clipping and the EMA teacher, in place
//     g <- g clip_scale,  clip_scale = min(1, clip / (||g|| + 1e-6))
//     p <- p (1 - lr weight_decay)
//     m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g²
//     p <- p - lr (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps)
//     teacher <- momentum teacher + (1 - momentum) p
//   guard () or none, then for each of n parameters: param, grad or none, exp_avg, exp_avg_sq,
//   teacher or none. A parameter without a gradient is left as it is; its teacher follows.
//   attrs, lists of n: lr, weight_decay, step (counts of this parameter, from 1), clip_group (whose
//   gradients share a norm, in [0, n); -1: not clipped); clip (0: off), beta1, beta2, eps, momentum
//   -> norms (n), that of each gradient (0: none)
//   If guard, or any gradient norm, is not finite, nothing changes; the caller sees it in norms.
//   changes param, exp_avg, exp_avg_sq and teacher; no gradient
//   Loshchilov and Hutter 2019, algorithm 2; Caron et al. 2021 for clipping and EMA
#include <algorithm>
#include <cmath>
#include <vector>

#include "../core/op.h"
#include "../core/parallel.h"
#include "adamw.h"

namespace protea {

using namespace adamw_inputs;

Outputs adamw_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() > 1 && in.size() % stride == 1, Code::Shape,
        "[adamw] takes a guard and 5 inputs a parameter, got ", in.size());
  size_t n = in.size() / stride;
  check(!in[0] || in[0].shape.elements() == 1, Code::Shape, "[adamw] guard must be one number");
  for (const char* name : {"lr", "weight_decay", "step", "clip_group"})
    check(attrs.list(name).size() == n, Code::Shape, "[adamw] ", name, " must have ", n,
          " numbers, got ", attrs.list(name).size());
  Outputs outputs{{{Shape{static_cast<int64_t>(n)}, Dtype::F64}}};
  outputs.rounds_anew = true;
  for (size_t i = 0; i < n; i++) {
    const Tensor& p = in[slot(i, param)];
    check(p && p.dtype == Dtype::F32, Code::Dtype, "[adamw] parameter ", i, " must be f32");
    for (int which = grad; which <= teacher; which++) {
      const Tensor& other = in[slot(i, which)];
      bool optional = which == grad || which == teacher;
      check(other ? other.shape == p.shape && other.dtype == p.dtype : optional, Code::Shape,
            "[adamw] input ", which, " of parameter ", i, " must be f32 of shape ", p.shape);
      if (other && which != grad) outputs.mutates.push_back(slot(i, which));
    }
    outputs.mutates.push_back(slot(i, param));
    check(attrs.list("step")[i] >= 1, Code::Unsupported, "[adamw] step must be >= 1");
    double group = attrs.list("clip_group")[i];
    check(group >= -1 && group < static_cast<double>(n), Code::Unsupported,
          "[adamw] clip_group must be -1 or in [0, ", n, "), got ", group);
  }
  return outputs;
}

namespace {

constexpr int64_t grain = 1 << 14;

double norm_of(const Array& x) {
  int64_t n = x.size();
  std::vector<double> partial(ceil_div(n, grain));
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    partial[begin / grain] = protea::adamw().square(end - begin, x.as<float>() + begin);
  });
  double sum = 0;
  for (double part : partial) sum += part;
  return std::sqrt(sum);
}

// clip_scale of every parameter, from the norms of its group.
std::vector<double> clip_scales(const Attrs& attrs, const double* norms, size_t n) {
  std::vector<double> scales(n, 1.0), square(n, 0.0);
  double clip = attrs.number("clip", 0);
  if (clip <= 0) return scales;
  std::span<const double> group = attrs.list("clip_group");
  for (size_t i = 0; i < n; i++)
    if (group[i] >= 0) square[static_cast<size_t>(group[i])] += norms[i] * norms[i];
  for (size_t i = 0; i < n; i++)
    if (group[i] >= 0)
      scales[i] = std::min(1.0, clip / (std::sqrt(square[static_cast<size_t>(group[i])]) + 1e-6));
  return scales;
}

bool finite(const Array& guard, const double* norms, size_t n) {
  if (guard) {
    double value = guard.dtype == Dtype::F64 ? *guard.as<double>() : *guard.as<float>();
    if (!std::isfinite(value)) return false;
  }
  return std::all_of(norms, norms + n, [](double norm) { return std::isfinite(norm); });
}

void forward(const Run& run) {
  size_t n = run.in.size() / stride;
  auto* norms = run.out[0].as<double>();
  for (size_t i = 0; i < n; i++)
    norms[i] = run.in[slot(i, grad)] ? norm_of(run.in[slot(i, grad)]) : 0;
  if (!finite(run.in[0], norms, n)) return;
  std::vector<double> scales = clip_scales(run.attrs, norms, n);
  auto momentum = static_cast<float>(run.attrs.number("momentum", 1));
  const AdamWKernels& kernels = protea::adamw();
  for (size_t i = 0; i < n; i++) {
    AdamWStep step = adamw_step(run.attrs, i);
    step.clip = static_cast<float>(scales[i]);
    const Array* of = &run.in[slot(i, param)];
    parallel_for(of[param].size(), grain, [&](int64_t begin, int64_t end) {
      auto at = [&](int which) { return of[which].as<float>() + begin; };
      int64_t count = end - begin;
      if (of[grad]) kernels.update(step, count, at(param), at(grad), at(exp_avg), at(exp_avg_sq));
      if (of[teacher]) kernels.follow(momentum, count, at(teacher), at(param));
    });
  }
}

}  // namespace

extern const Kernel adamw_cpu = {forward, nullptr};

}  // namespace protea
