import { checkNumber } from '../../error.js';
import {
  logEmaUpdate,
  prototypeLogMarginal,
  type Tensor,
  tensor,
  weightedSum,
} from '../../tensor/index.js';
import type { Targets, TeacherRows } from './targets.js';

/** Which mean the centre follows: of the probabilities, or of their logarithms. */
export type ProbabilityMean = 'probabilities' | 'logarithms';

/**
 * Centering in probability space (Govindarajan et al. 2023, DINO-vMF, section 3.3): q_k ∝ p_k / c_k,
 * c <- m c + (1 - m) mean_b(p_b), p without the centre. Kept as log c, from c = 1 / K on.
 */
export class ProbabilityCentering implements Targets {
  readonly ofBatch = false;

  constructor(
    /** log c (K) */
    readonly logCentre: Tensor,
    readonly momentum = 0.9,
    readonly mean: ProbabilityMean = 'probabilities',
  ) {
    checkNumber('centre momentum', momentum, 0, 1);
  }

  static fresh(prototypes: number, momentum: number, mean?: ProbabilityMean): ProbabilityCentering {
    const start = new Float32Array(prototypes).fill(-Math.log(prototypes));
    return new ProbabilityCentering(tensor(start, [prototypes]), momentum, mean);
  }

  get state(): ReadonlyMap<string, Tensor> {
    return new Map([['log_centre', this.logCentre]]);
  }

  /** -log c, and the head's own bias (K). */
  bias({ bias }: Pick<TeacherRows, 'bias'>): Tensor {
    return bias
      ? weightedSum([this.logCentre, bias], [-1, 1])
      : weightedSum([this.logCentre], [-1]);
  }

  update(rows: TeacherRows, guard?: Tensor): void {
    const options = { momentum: this.momentum, ofLogs: this.mean === 'logarithms' };
    logEmaUpdate(this.logCentre, prototypeLogMarginal(rows), options, guard);
  }
}
