// log_ema_update: the moving average of probabilities kept as logarithms, in place
//   of_logs 0:  log c <- log(momentum c + (1 - momentum) m)
//   of_logs 1:  log c <- momentum log c + (1 - momentum) log m
//   log c, log m (one shape, f32 or f64), guard () or none; attrs momentum in [0, 1], of_logs
//   -> applied () i32: 0 when guard is not finite and nothing was changed
//   changes log c; no gradient. In logarithms a prototype without mass keeps its place in
//   the order.
//   Govindarajan et al. 2023 (DINO-vMF), section 3.3
#include <cmath>

#include "guard.h"
#include "log_ema_update.h"

namespace protea {

Outputs log_ema_update_infer(std::span<const Tensor> in, const Attrs& attrs) {
  const char* op = "[log_ema_update]";
  check(in.size() == 3, Code::Shape, op, " takes log c, log m and guard, got ", in.size());
  check(in[0].shape == in[1].shape && in[0].dtype == in[1].dtype && is_floating(in[0].dtype),
        Code::Shape, op, " log c and log m must be f32 or f64 of one shape, got ", in[0].shape,
        " and ", in[1].shape);
  double momentum = attrs.number("momentum");
  check(momentum >= 0 && momentum <= 1, Code::Unsupported, op, " momentum must be in [0, 1], got ",
        momentum);
  check_guard("[log_ema_update]", in[2], in[0].dtype);
  Outputs outputs{{{Shape{}, Dtype::I32}}};
  outputs.mutates = {0};
  return outputs;
}

namespace {

void forward(const Run& run) {
  const Array &center = run.in[0], &guard = run.in[2];
  with_floating(center.dtype, [&]<class T>() {
    bool apply = lets_through<T>(guard);
    *run.out[0].as<int32_t>() = apply;
    if (!apply) return;
    double momentum = run.attrs.number("momentum");
    bool of_logs = run.attrs.integer("of_logs", 0);
    for (int64_t k = 0; k < center.size(); k++) {
      double old = center.as<T>()[k], mean = run.in[1].as<T>()[k];
      center.as<T>()[k] =
          static_cast<T>(of_logs ? momentum * old + (1 - momentum) * mean
                                 : log_add(std::log(momentum) + old, std::log1p(-momentum) + mean));
    }
  });
}

}  // namespace

extern const Kernel log_ema_update_cpu = {forward, nullptr};

}  // namespace protea
