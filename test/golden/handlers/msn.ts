import { msnLosses, SinkhornTargets } from '../../../lib/ssl/index.js';
import {
  l2Normalize,
  linear,
  log,
  softmax,
  tensor,
  unrecorded,
  weightedSum,
} from '../../../lib/tensor/index.js';
import type { GoldenCase, Handler } from '../case.js';
import { Graph, type Inputs } from '../graph.js';
import { identity, probabilities } from '../logits.js';

/** The target probabilities, written down. */
function targetsOf(c: GoldenCase, x: Inputs) {
  const { tau, T, smoothing, K } = c.params;
  return unrecorded(() => {
    const z = l2Normalize(x('in.targets'));
    const prototypes = l2Normalize(x('in.prototypes'));
    const cosines = linear(z, prototypes);
    const p = softmax(cosines, tau);
    const uniform = tensor(new Float32Array(p.size).fill(1 / K), p.shape);
    const logits = smoothing
      ? log(weightedSum([p, uniform], [1 - smoothing, smoothing]))
      : weightedSum([cosines], [1 / tau]);
    const targets = sinkhornOf(c);
    if (!targets) return softmax(logits, T);
    const bias = targets.bias({ z: logits, prototypes: identity(K), temperature: T });
    return probabilities(logits, T, bias);
  });
}

const sinkhornOf = (c: GoldenCase) =>
  c.params.sinkhorn ? new SinkhornTargets({ fromProbabilities: true }) : undefined;

export const msn: Handler = (c) =>
  new Graph(c).run((x) => {
    const { tau, T, smoothing, me_max_weight, entropy_weight } = c.params;
    const targets = sinkhornOf(c);
    const options = { temperature: tau, sharpening: T, smoothing, ...(targets ? { targets } : {}) };
    const { loss, meMax, entropy } = msnLosses(
      x('in.anchors'),
      x('in.targets'),
      x('in.prototypes'),
      options,
    );
    return {
      'out.loss': loss,
      'out.me_max': meMax,
      'out.entropy': entropy,
      'out.targets': targetsOf(c, x),
      'out.total': weightedSum([loss, meMax, entropy], [1, me_max_weight, entropy_weight]),
    };
  }, 'out.total');
