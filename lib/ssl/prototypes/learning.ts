import { prototypeCrossEntropy, type Tensor, weightedSum } from '../../tensor/index.js';
import type { HeadName } from '../network.js';
import type { MethodStep } from '../step.js';

/** What moves the prototypes: the student's loss, a mixture's EM, or the teacher's own clustering loss. */
export const prototypeLearnings = ['gradient', 'mixture', 'clustering'] as const;
export type PrototypeLearning = (typeof prototypeLearnings)[number];

/**
 * CAPI's clustering loss (Darcet et al. 2025): the teacher's prototypes predict the balanced targets
 * of the same vectors, mean over rows of CE(targets, softmax(z · w / student temperature)). The
 * vectors have no gradient, so prototypes and logit bias alone learn from it.
 */
export function clusteringLoss(step: MethodStep): Tensor {
  const { teacher, method, taught } = step;
  const temperature = method.config.studentTemperature;
  const heads = new Map<HeadName, { prototypes: Tensor; bias: Tensor | undefined }>();
  for (const { head } of taught) {
    if (heads.has(head)) continue;
    const prototypes = teacher.headOf(head).prototypes();
    heads.set(head, { prototypes, bias: teacher.headOf(head).bias(prototypes, temperature) });
  }
  const rows = taught.reduce((sum, { rows: { z } }) => sum + z.shape[0]!, 0);
  const losses = taught.map(({ head, rows: targets }) =>
    prototypeCrossEntropy({
      student: { z: targets.z, ...heads.get(head)!, temperature, views: 1 },
      teacher: { ...targets, views: 1 },
      pairs: [1 / rows],
    }),
  );
  return weightedSum(
    losses,
    losses.map(() => 1),
  );
}
