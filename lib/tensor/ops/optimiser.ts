// Ops that change parameters in place. They are refused while a recorded backward still needs the
// old values.
import { call } from '../call.js';
import type { Tensor } from '../tensor.js';

/** One parameter of an AdamW step with its state; all of one shape, f32. */
export interface AdamWParameter {
  param: Tensor;
  /** None: the parameter is frozen in this step; only its teacher follows. */
  grad?: Tensor | undefined;
  expAvg: Tensor;
  expAvgSq: Tensor;
  /** Exponential moving average of the parameter, updated in the same pass. */
  teacher?: Tensor | undefined;
  lr: number;
  weightDecay: number;
  /** Steps of this parameter, this one included. */
  step: number;
  /** Gradients of one group share the clipped norm; -1: not clipped. */
  clipGroup: number;
}

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  eps: number;
  /** Limit of each group's gradient norm; 0: no clipping. */
  clip: number;
  /** EMA momentum of the teachers. */
  momentum: number;
  /** A scalar: when it, or a gradient's norm, is not finite, nothing is changed. */
  guard?: Tensor | undefined;
}

/**
 * One step of AdamW over n parameters in place, with clipping and the teachers' EMA:
 * g <- g min(1, clip / (||g|| + 1e-6)), p <- p (1 - lr weightDecay),
 * m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g²,
 * p <- p - lr m̂ / (√v̂ + eps), teacher <- momentum teacher + (1 - momentum) p.
 * Returns each gradient's norm before clipping, (n) f64. Loshchilov & Hutter 2019, algorithm 2.
 * @throws ERR_PROTEA_SHAPE, ERR_PROTEA_DTYPE when a parameter's tensors differ
 */
export function adamw(parameters: readonly AdamWParameter[], options: AdamWOptions): Tensor {
  const inputs = parameters.flatMap((p) => [p.param, p.grad, p.expAvg, p.expAvgSq, p.teacher]);
  return call('adamw', [options.guard, ...inputs], {
    lr: parameters.map((p) => p.lr),
    weight_decay: parameters.map((p) => p.weightDecay),
    step: parameters.map((p) => p.step),
    clip_group: parameters.map((p) => p.clipGroup),
    clip: options.clip,
    beta1: options.beta1,
    beta2: options.beta2,
    eps: options.eps,
    momentum: options.momentum,
  })[0]!;
}

/**
 * target <- momentum target + (1 - momentum) source, in place, unless `guard` is not finite. Two tensors
 * of one shape, f32 or f64. Returns whether it was done: () i32, 0 or 1.
 */
export const emaUpdate = (
  target: Tensor,
  source: Tensor,
  momentum: number,
  guard?: Tensor,
): Tensor => call('ema_update', [target, source, guard], { momentum })[0]!;

/** target <- source, in place: two tensors of one shape, f32 or f64. */
export const assign = (target: Tensor, source: Tensor): Tensor => emaUpdate(target, source, 0);

/**
 * log c <- log(momentum c + (1 - momentum) m) in place, unless `guard` is not finite. With `ofLogs`
 * the mean is taken of the logarithms: log c <- momentum log c + (1 - momentum) log m. Two tensors of
 * one shape, f32 or f64. Returns whether it was done: () i32, 0 or 1. Govindarajan et al. 2023, section
 * 3.3.
 */
export const logEmaUpdate = (
  logCenter: Tensor,
  logMean: Tensor,
  { momentum, ofLogs = false }: { momentum: number; ofLogs?: boolean },
  guard?: Tensor,
): Tensor =>
  call('log_ema_update', [logCenter, logMean, guard], { momentum, of_logs: Number(ofLogs) })[0]!;
