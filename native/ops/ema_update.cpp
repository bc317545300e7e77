// ema_update: target <- momentum target + (1 - momentum) source, in place
//   target, source (one shape, f32 or f64), guard () or none; attrs momentum in [0, 1]
//   -> applied () i32: 0 when guard is not finite and nothing was changed
//   changes target; no gradient
#include <cmath>

#include "../core/parallel.h"
#include "guard.h"

namespace protea {

Outputs ema_update_infer(std::span<const Tensor> in, const Attrs& attrs) {
  check(in.size() == 3, Code::Shape, "[ema_update] takes target, source and guard, got ",
        in.size());
  check(in[0].shape == in[1].shape && in[0].dtype == in[1].dtype && is_floating(in[0].dtype),
        Code::Shape, "[ema_update] target and source must be f32 or f64 of one shape, got ",
        in[0].shape, " and ", in[1].shape);
  double momentum = attrs.number("momentum");
  check(momentum >= 0 && momentum <= 1, Code::Unsupported,
        "[ema_update] momentum must be in [0, 1], got ", momentum);
  check_guard("[ema_update]", in[2], in[0].dtype);
  Outputs outputs{{{Shape{}, Dtype::I32}}};
  outputs.mutates = {0};
  return outputs;
}

namespace {

void forward(const Run& run) {
  const Array &target = run.in[0], &source = run.in[1], &guard = run.in[2];
  with_floating(target.dtype, [&]<class T>() {
    bool apply = lets_through<T>(guard);
    *run.out[0].as<int32_t>() = apply;
    if (!apply) return;
    T momentum = static_cast<T>(run.attrs.number("momentum"));
    parallel_for(target.size(), 1 << 14, [&](int64_t begin, int64_t end) {
      T* to = target.as<T>();
      for (int64_t i = begin; i < end; i++)
        to[i] = momentum * to[i] + (1 - momentum) * source.as<T>()[i];
    });
  });
}

}  // namespace

extern const Kernel ema_update_cpu = {forward, nullptr};

}  // namespace protea
