import { checkNumber } from '../../error.js';
import { emaUpdate, linear, meanRows, type Tensor, weightedSum } from '../../tensor/index.js';

/**
 * DINO's centre of the teacher's logits (Caron et al. 2021, eq. 4): c <- m c + (1 - m) mean_b(W z_b),
 * where the mean is taken of z first, so that no logits are needed.
 */
export class LogitCentering {
  constructor(
    readonly centre: Tensor,
    readonly momentum = 0.9,
  ) {
    checkNumber('centre momentum', momentum, 0, 1);
  }

  /** What is added to the teacher's logits after the temperature: -c / temperature (K). */
  bias(temperature: number): Tensor {
    return weightedSum([this.centre], [-1 / temperature]);
  }

  /** Moves the centre towards the mean logits of teacher rows z (B, P) against prototypes (K, P). */
  update(z: Tensor, prototypes: Tensor, guard?: Tensor): void {
    const mean = meanRows(z);
    const logits = linear(mean.reshape([1, mean.size]), prototypes);
    emaUpdate(this.centre, logits.reshape([logits.size]), this.momentum, guard);
  }
}
