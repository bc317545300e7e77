// What the package exists for: losses and diagnosis over prototypes. Equations, saved values and
// sources stand in native/ops, one file an op. Numbers are f32 or f64, all inputs of a call the same;
// what does not fit throws ERR_PROTEA_SHAPE, ERR_PROTEA_DTYPE or ERR_PROTEA_UNSUPPORTED at the call.

import { call } from '../call.js';
import { unrecorded } from '../scope.js';
import type { Tensor } from '../tensor.js';

/** x / max(||x||_2, eps) over the last dimension: (..., D) -> (..., D). */
export const l2Normalize = (x: Tensor, eps = 1e-12): Tensor =>
  call('l2_normalize', [x], { eps })[0]!;

/**
 * g v / ||v||_2 row by row: v (K, P), g (K, 1) or none for 1 -> (K, P), the prototypes of a DINO head.
 * Salimans & Kingma 2016, eq. 2.
 */
export const weightNorm = (v: Tensor, g?: Tensor): Tensor => call('weight_norm', [v, g])[0]!;

/** Rows that meet prototypes: logits z prototypesᵀ / temperature + bias, (rows, K), never written down. */
export interface PrototypeRows {
  /** Bottleneck vectors (rows, P). */
  z: Tensor;
  /** Prototypes (K, P). */
  prototypes: Tensor;
  /** (K), added to the logits after the temperature. */
  bias?: Tensor | undefined;
  temperature: number;
}

/** One network's side of a loss over views. */
export interface PrototypeViews extends PrototypeRows {
  /** Number of views in `z`, one after another; rows = views x images. */
  views: number;
}

export interface PrototypeCrossEntropyOptions {
  student: PrototypeViews;
  teacher: PrototypeViews;
  /** What pair (student view v, teacher view u) counts: student.views x teacher.views, row-major. */
  pairs: readonly number[];
  /** What each student row counts: (rows). @default 1 */
  rowWeight?: Tensor;
}

/**
 * Σ_v Σ_u pairs[v, u] Σ_b CE(softmax(teacher_ub), softmax(student_vb)), a scalar, without a tensor of
 * the size of the logits. Gradients reach the student's z, prototypes and bias. Caron et al. 2021, eq. 3.
 * @throws ERR_PROTEA_SHAPE when views, rows, prototypes or pairs do not fit together
 */
export function prototypeCrossEntropy(options: PrototypeCrossEntropyOptions): Tensor {
  const { student, teacher, pairs, rowWeight } = options;
  const inputs = [
    student.z,
    student.prototypes,
    student.bias,
    teacher.z,
    teacher.prototypes,
    teacher.bias,
    rowWeight,
  ];
  return call('prototype_cross_entropy', inputs, {
    pairs,
    views: student.views,
    teacher_views: teacher.views,
    student_temperature: student.temperature,
    teacher_temperature: teacher.temperature,
  })[0]!;
}

/**
 * The marginal latent class distribution: mean over rows of softmax(z prototypesᵀ / temperature +
 * bias): (K). No gradient. Govindarajan et al. 2024, section 3.
 */
export const prototypeMarginal = ({ z, prototypes, bias, temperature }: PrototypeRows): Tensor =>
  unrecorded(() => call('prototype_marginal', [z, prototypes, bias], { temperature, log: 0 }))[0]!;

/** `prototypeMarginal` with gradients to z, prototypes and bias, as ME-MAX needs: (K). */
export const meanAssignment = ({ z, prototypes, bias, temperature }: PrototypeRows): Tensor =>
  call('prototype_marginal', [z, prototypes, bias], { temperature, log: 0 })[0]!;

/** The logarithm of `prototypeMarginal`, finite where the marginal itself is too small a number. */
export const prototypeLogMarginal = ({ z, prototypes, bias, temperature }: PrototypeRows): Tensor =>
  unrecorded(() => call('prototype_marginal', [z, prototypes, bias], { temperature, log: 1 }))[0]!;

export interface SinkhornOptions {
  /** Turns over columns and rows. @default 3 */
  iterations?: number;
  /** Starts from rows that sum to 1, as MSN does, instead of from e^logits. @default false */
  fromProbabilities?: boolean;
}

/**
 * Sinkhorn-Knopp as a bias (K): softmax(z prototypesᵀ / temperature + bias) are the balanced
 * assignments of the rows. A bias of the head itself cancels out. No gradient. Caron et al. 2020,
 * section 3.1.
 */
export const prototypeSinkhorn = (
  { z, prototypes, temperature }: Omit<PrototypeRows, 'bias'>,
  { iterations = 3, fromProbabilities = false }: SinkhornOptions = {},
): Tensor =>
  unrecorded(() =>
    call('prototype_sinkhorn', [z, prototypes], {
      temperature,
      iterations,
      from_probabilities: Number(fromProbabilities),
    }),
  )[0]!;

/**
 * log C_P(||w_k|| / temperature) - log C_P(0) of prototypes w (K, P): (K), what von Mises-Fisher
 * logits add to w_k · z / temperature. Govindarajan et al. 2023, section 3.2.
 */
export const vmfLogNormalizer = (prototypes: Tensor, temperature: number): Tensor =>
  call('vmf_log_normalizer', [prototypes], { temperature })[0]!;

export interface KoleoOptions {
  /** Added to the distance inside the logarithm. @default 1e-8 */
  eps?: number;
  /** Smallest norm divided by. @default 1e-8 */
  normEps?: number;
  /** Added to every coordinate of a difference, as PyTorch's pairwise distance. @default 0 */
  pairwiseEps?: number;
  /** Below it the logarithm goes on as a parabola, so that copies have a bounded force. @default 0 */
  minDistance?: number;
}

/**
 * KoLeo: -1/B Σ_i log(||u_i - u_nearest(i)|| + eps) over directions u = x / ||x||, x (B >= 2, D): the
 * loss () and who is nearest, (B) i32. The gradient reaches both of each pair.
 * Sablayrolles et al. 2019, eq. 2; of prototypes Govindarajan et al. 2024, eq. 8.
 * @throws ERR_PROTEA_SHAPE for fewer than two rows: one has no neighbour
 */
export function koleo(x: Tensor, options: KoleoOptions = {}): { loss: Tensor; nearest: Tensor } {
  const { eps = 1e-8, normEps = 1e-8, pairwiseEps = 0, minDistance = 0 } = options;
  const attrs = {
    eps,
    norm_eps: normEps,
    pairwise_eps: pairwiseEps,
    min_distance: minDistance,
  };
  const [loss, nearest] = call('koleo', [x], attrs);
  return { loss: loss!, nearest: nearest! };
}

/** How copies are grouped: by the first leader that is near, or by connected components. */
export type UniqueRule = 'greedy' | 'components';

/**
 * For each epsilon and each prototype the row that stands for it at cosine distance below epsilon:
 * (K, P) -> (epsilons, K) i32. Rows that stand for themselves are the unique prototypes.
 */
export const uniquePrototypes = (
  prototypes: Tensor,
  epsilons: readonly number[],
  rule: UniqueRule = 'greedy',
): Tensor =>
  unrecorded(() =>
    call('unique_prototypes', [prototypes], {
      epsilons,
      components: Number(rule === 'components'),
    }),
  )[0]!;

/**
 * `uniquePrototypes` by both rules in one sweep: (2 epsilons, K) i32, first the greedy rows of every
 * epsilon, then those of the components.
 */
export const prototypeGroups = (prototypes: Tensor, epsilons: readonly number[]): Tensor =>
  unrecorded(() => call('unique_prototypes', [prototypes], { epsilons, components: 2 }))[0]!;

/**
 * The nearest other prototype of each by direction, and its cosine distance in double: (K, P) ->
 * (K) i32, (K) f64. Greedy groups `leader` (K) i32 make it faster where there are many copies.
 */
export function nearestPrototypes(
  prototypes: Tensor,
  leader?: Tensor,
): { nearest: Tensor; distance: Tensor } {
  const [nearest, distance] = unrecorded(() => call('nearest_prototypes', [prototypes, leader]));
  return { nearest: nearest!, distance: distance! };
}

export interface TsneOptions {
  /** About how many neighbours count; at most a third of the rows. @default 30 */
  perplexity?: number;
  /** @default 500 */
  iterations?: number;
}

/** Exact t-SNE of x (N, P) from the places `start` (N, 2): (N, 2). At most 8192 rows; no gradient. */
export const tsne = (
  x: Tensor,
  start: Tensor,
  { perplexity = 30, iterations = 500 }: TsneOptions = {},
): Tensor => unrecorded(() => call('tsne', [x, start], { perplexity, iterations }))[0]!;

/**
 * The k train rows (M, D) of largest inner product with each test row (N, D), largest first, ties by
 * the lowest index: values (N, k) and indices (N, k) i32. Normalised rows: cosine similarities. No
 * gradient.
 * @throws ERR_PROTEA_SHAPE when k > M or the widths differ
 */
export function knnTopK(
  test: Tensor,
  train: Tensor,
  k: number,
): { values: Tensor; indices: Tensor } {
  const [values, indices] = unrecorded(() => call('knn_top_k', [test, train], { k }));
  return { values: values!, indices: indices! };
}
