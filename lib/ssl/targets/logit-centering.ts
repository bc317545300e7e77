import { checkNumber } from '../../error.js';
import {
  emaUpdate,
  linear,
  meanRows,
  type Tensor,
  weightedSum,
  zeros,
} from '../../tensor/index.js';
import type { Targets, TeacherRows } from './targets.js';

/**
 * DINO's centre of the teacher's logits (Caron et al. 2021, eq. 4): softmax((l - c) / temperature),
 * c <- m c + (1 - m) mean_b(l_b). The mean is taken of z first, so that no logits are needed.
 */
export class LogitCentering implements Targets {
  readonly ofBatch = false;

  constructor(
    /** c (K) */
    readonly centre: Tensor,
    readonly momentum = 0.9,
  ) {
    checkNumber('centre momentum', momentum, 0, 1);
  }

  static fresh(prototypes: number, momentum: number): LogitCentering {
    return new LogitCentering(zeros([prototypes]), momentum);
  }

  get state(): ReadonlyMap<string, Tensor> {
    return new Map([['centre', this.centre]]);
  }

  /** -c / temperature, and the head's own bias (K). */
  bias({ temperature, bias }: Pick<TeacherRows, 'temperature' | 'bias'>): Tensor {
    return bias
      ? weightedSum([this.centre, bias], [-1 / temperature, 1])
      : weightedSum([this.centre], [-1 / temperature]);
  }

  update({ z, prototypes, bias, temperature }: TeacherRows, guard?: Tensor): void {
    const mean = meanRows(z);
    const product = linear(mean.reshape([1, mean.size]), prototypes).reshape([
      prototypes.shape[0]!,
    ]);
    const logits = bias ? weightedSum([product, bias], [1, temperature]) : product;
    emaUpdate(this.centre, logits, this.momentum, guard);
  }
}
