// The layers of a vision transformer. The contract of each op stands at the head of its file in
// native/ops; wrong shapes and dtypes throw ERR_PROTEA_SHAPE and ERR_PROTEA_DTYPE at the call.

import { call } from '../call.js';
import { currentPrecision } from '../device.js';
import { unrecorded } from '../scope.js';
import type { Tensor } from '../tensor.js';

export interface StorageOptions {
  /**
   * The result is read by `linear`, `linearGelu`, `attention` or as the branch of `residual` alone.
   * `swiglu` keeps it. A GPU that computes in bf16 then stores it, and its gradient, in bf16: those round it anyway.
   * Elsewhere nothing changes.
   * @default false
   */
  rounded?: boolean;
}

const storage = ({ rounded = false }: StorageOptions): Record<string, number> =>
  rounded && currentPrecision() === 'bf16' ? { rounded: 1 } : {};

/** x (..., D), weight (K, D), bias (K) or none -> x weightᵀ + bias (..., K). */
export const linear = (
  x: Tensor,
  weight: Tensor,
  bias?: Tensor,
  options: StorageOptions = {},
): Tensor => call('linear', [x, weight, bias], storage(options))[0]!;

/** GELU(x weightᵀ + bias), exact (erf); shapes as `linear`. Hendrycks & Gimpel 2016. */
export const linearGelu = (
  x: Tensor,
  weight: Tensor,
  bias?: Tensor,
  options: StorageOptions = {},
): Tensor => call('linear_gelu', [x, weight, bias], storage(options))[0]!;

/** x Φ(x), element by element. */
export const gelu = (x: Tensor): Tensor => call('gelu', [x])[0]!;

/** silu(a) b for x = [a, b] (..., 2 H) -> (..., H). Shazeer 2020. */
export const swiglu = (x: Tensor): Tensor => call('swiglu', [x])[0]!;

/** (x - mean) / √(var + eps) weight + bias over the last dimension of x (..., D), biased variance. Ba et al. 2016. */
export const layerNorm = (
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  eps: number,
  options: StorageOptions = {},
): Tensor => call('layer_norm', [x, weight, bias], { eps, ...storage(options) })[0]!;

/** The same by columns of x (B >= 2, D), over the batch; no statistics are kept. Ioffe & Szegedy 2015. */
export const batchNorm = (x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor =>
  call('batch_norm', [x, weight, bias], { eps })[0]!;

/** softmax(x / temperature) over the last dimension. */
export const softmax = (x: Tensor, temperature = 1): Tensor =>
  call('softmax', [x], { temperature, log: 0 })[0]!;

/** log softmax(x / temperature) over the last dimension. */
export const logSoftmax = (x: Tensor, temperature = 1): Tensor =>
  call('softmax', [x], { temperature, log: 1 })[0]!;

/** -Σ_k target_bk log softmax(logits_b / temperature)_k for each row: (B, K), (B, K) -> (B). */
export const softCrossEntropy = (logits: Tensor, target: Tensor, temperature: number): Tensor =>
  call('soft_cross_entropy', [logits, target], { temperature })[0]!;

export interface AttentionOptions {
  heads: number;
  /** @default (D / heads)^-1/2 */
  scale?: number;
}

const attentionAttrs = ({ heads, scale }: AttentionOptions): Record<string, number> =>
  scale === undefined ? { heads } : { heads, scale };

/** softmax(scale q kᵀ) v, head by head: qkv (B, N, 3 D), rows [q; k; v] head-major -> (B, N, D). Vaswani et al. 2017. */
export const attention = (qkv: Tensor, options: AttentionOptions): Tensor =>
  call('attention', [qkv], attentionAttrs(options))[0]!;

/** The probabilities attention uses, to look at: qkv (B, N, 3 D) -> (B, heads, N, N). No gradient. */
export const attentionProbabilities = (qkv: Tensor, options: AttentionOptions): Tensor =>
  unrecorded(() => call('attention_probabilities', [qkv], attentionAttrs(options)))[0]!;

export interface ResidualOptions {
  /** LayerScale (D). */
  gamma?: Tensor;
  /** Drop path: (B) of 0 and 1, 1 = the branch is kept. */
  keep?: Tensor;
  /** Probability of dropping, in [0, 1). @default 0 */
  drop?: number;
}

/** x + keep / (1 - drop) gamma branch, for x and branch (B, ..., D). Touvron et al. 2021; Huang et al. 2016. */
export const residual = (
  x: Tensor,
  branch: Tensor,
  { gamma, keep, drop = 0 }: ResidualOptions = {},
): Tensor => call('residual', [x, branch, gamma, keep], { drop })[0]!;
