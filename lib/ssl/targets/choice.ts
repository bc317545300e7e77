import { LogitCentering } from './logit-centering.js';
import { ProbabilityCentering } from './probability-centering.js';
import { SinkhornTargets } from './sinkhorn.js';
import { PlainTargets, type Targets } from './targets.js';

/** How the marginal of the assignments is kept from collapsing. */
export const targetKinds = [
  'logit-centering',
  'probability-centering',
  'log-probability-centering',
  'sinkhorn',
  'sinkhorn-of-probabilities',
  'none',
] as const;

export type TargetKind = (typeof targetKinds)[number];

/** Fresh targets of that kind over K prototypes; `momentum` is that of a centre. */
export function targetsOf(kind: TargetKind, prototypes: number, momentum: number): Targets {
  switch (kind) {
    case 'logit-centering':
      return LogitCentering.fresh(prototypes, momentum);
    case 'probability-centering':
      return ProbabilityCentering.fresh(prototypes, momentum, 'probabilities');
    case 'log-probability-centering':
      return ProbabilityCentering.fresh(prototypes, momentum, 'logarithms');
    case 'sinkhorn':
      return new SinkhornTargets();
    case 'sinkhorn-of-probabilities':
      return new SinkhornTargets({ fromProbabilities: true });
    case 'none':
      return new PlainTargets();
  }
}
