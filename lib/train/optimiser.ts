import {
  AdamW,
  isDecayed,
  layerwiseMultipliers,
  type ParameterPolicy,
  type Parameters,
  vitSizes,
} from '../nn/index.js';
import { isPrototypes, type Method } from '../ssl/index.js';
import type { Tensor } from '../tensor/index.js';
import type { LastingConfig } from './config.js';

/** CAPI's second moment of the clustering's own optimiser (Darcet et al. 2025). */
const clusteringBeta2 = 0.95;

/**
 * Rate and decay of one parameter. Prototypes have a factor of their own. Shared prototypes (MSN) neither decay nor take part in clipping;
 * the layer-wise factors of DINOv2 are 1 unless set.
 */
export function policyOf(
  { optim, model, head }: LastingConfig,
  name: string,
  shape: readonly number[],
): ParameterPolicy {
  const depth = name.startsWith('backbone.') ? vitSizes[model.size].depth : 0;
  const options = { depth, decay: optim.layerDecay, patchEmbed: optim.patchEmbedLr };
  const layerwise = layerwiseMultipliers(name, options);
  const prototypes = isPrototypes(name);
  const shared = head.layer === 'shared' && prototypes;
  const decays = optim.decay === 'dino' ? Number(isDecayed(name, shape)) : layerwise.weightDecay;
  const lr = layerwise.lr * (prototypes ? optim.prototypeLr : 1);
  return { lr, weightDecay: shared ? 0 : decays, clipped: !shared };
}

/** The optimiser of the student, and that of prototypes the teacher learns by itself, if it does. */
export function optimisersOf(config: LastingConfig, method: Method, moments?: Parameters): AdamW[] {
  const { beta2, clipMode, clusteringLr } = config.optim;
  const student = new AdamW(
    method.student.parameters,
    method.followers,
    { beta2, clipMode, policy: (name, shape) => policyOf(config, name, shape) },
    moments,
  );
  const clustered = clusteredParameters(method);
  if (!clustered.size) return [student];
  const policy = () => ({ lr: clusteringLr, weightDecay: 1, clipped: true });
  return [student, new AdamW(clustered, new Map(), { beta2: clusteringBeta2, policy }, moments)];
}

/** What learns in the teacher, under names that tell it from the student's. */
export const clusteredParameters = ({ clustered }: Method): Map<string, Tensor> =>
  new Map([...clustered].map(([name, value]) => [`teacher.${name}`, value]));
