import { checkNumber } from '../../error.js';
import {
  dot,
  l2Normalize,
  linear,
  log,
  softmax,
  type Tensor,
  tensor,
  unrecorded,
  weightedSum,
} from '../../tensor/index.js';
import { meMax, meMaxOf } from '../regularizers/me-max.js';
import { PlainTargets, type Targets } from '../targets/targets.js';
import { anchorLoss } from './anchors.js';

export interface MsnOptions {
  /** Of the cosines; both networks'. @default 0.1 */
  temperature?: number;
  /** Power 1 / sharpening on the targets' probabilities. @default 0.25 */
  sharpening?: number;
  /** Label smoothing of both networks' predictions. @default 0 */
  smoothing?: number;
  /** What balances the targets over the prototypes. @default nothing */
  targets?: Targets;
}

export interface MsnLosses {
  /** Mean cross-entropy of anchors against their image's target. */
  loss: Tensor;
  /** log K - H(mean prediction of the anchors). */
  meMax: Tensor;
  /** Mean entropy of an anchor's prediction. */
  entropy: Tensor;
}

/** Cosines to the prototypes, as rows of a loss over prototypes. */
interface Cosines {
  z: Tensor;
  prototypes: Tensor;
}

/** (1 - s) p + s / K, p = softmax(cosines / temperature). */
function predictions({ z, prototypes }: Cosines, temperature: number, smoothing: number): Tensor {
  const p = softmax(linear(z, prototypes), temperature);
  if (smoothing === 0) return p;
  const uniform = new Float64Array(p.size).fill(1 / p.shape[1]!);
  return weightedSum([p, tensor(uniform, p.shape, p.dtype)], [1 - smoothing, smoothing]);
}

/** softmax(log(target) / sharpening + bias), the bias being that which balances these very rows. */
function sharpened(target: Tensor, sharpening: number, targets: Targets): Tensor {
  const z = log(target);
  const K = target.shape[1]!;
  const prototypes = tensor(identityOf(K), [K, K], target.dtype);
  const bias = targets.bias({ z, prototypes, temperature: sharpening });
  if (!bias) return softmax(z, sharpening);
  return softmax(linear(z, prototypes, weightedSum([bias], [sharpening])), sharpening);
}

function identityOf(K: number): Float32Array {
  const values = new Float32Array(K * K);
  for (let k = 0; k < K; k++) values[k * (K + 1)] = 1;
  return values;
}

/** Smoothed predictions are no softmax of cosines, so here the assignments are written down. */
function smoothedCrossEntropy(
  p: Tensor,
  target: Tensor,
  sharpening: number,
  targets: Targets,
): Tensor {
  const q = unrecorded(() => sharpened(target, sharpening, targets));
  const views = p.shape[0]! / q.shape[0]!;
  const logP = log(p).reshape([views, q.size]);
  const logs = linear(logP, q.reshape([1, q.size]));
  return weightedSum(
    [dot(logs, tensor(new Float32Array(views).fill(1), [views, 1], p.dtype))],
    [-1 / p.shape[0]!],
  );
}

/**
 * The MSN losses (Assran et al. 2022, eq. 1 and 2) of anchors (views x images, D), view by view,
 * against targets (images, D) and learnt prototypes (K, D), all of them normalised here.
 */
export function msnLosses(
  anchors: Tensor,
  targets: Tensor,
  prototypes: Tensor,
  options: MsnOptions = {},
): MsnLosses {
  const { temperature = 0.1, sharpening = 0.25, smoothing = 0 } = options;
  checkNumber('smoothing', smoothing, 0, 1);
  const student = { z: l2Normalize(anchors), prototypes: l2Normalize(prototypes) };
  const teacher = unrecorded(() => ({
    z: l2Normalize(targets),
    prototypes: l2Normalize(prototypes),
  }));
  const p = predictions(student, temperature, smoothing);
  const entropy = weightedSum([dot(p, log(p))], [-1 / p.shape[0]!]);
  const balanced = options.targets ?? new PlainTargets();
  if (smoothing > 0) {
    const target = unrecorded(() => predictions(teacher, temperature, smoothing));
    const loss = smoothedCrossEntropy(p, target, sharpening, balanced);
    return { loss, meMax: meMax(p), entropy };
  }
  const rows = { ...teacher, temperature: temperature * sharpening };
  const bias = balanced.bias(rows);
  const predicted = { ...student, temperature };
  return { loss: anchorLoss(predicted, { ...rows, bias }), meMax: meMaxOf(predicted), entropy };
}
