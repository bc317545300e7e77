import { checkNumber } from '../../error.js';
import { normals } from '../../nn/index.js';
import {
  assign,
  full,
  gmmResponsibilities,
  gmmUpdate,
  type MixtureState,
  type Tensor,
  tensor,
} from '../../tensor/index.js';

export interface MixtureOptions {
  /** How much of the statistics a row replaces, in (0, 1). @default 0.02 */
  forgetting: number;
  /** Smallest variance of a coordinate. @default 1e-4 */
  varianceFloor: number;
}

const initPurpose = 1;

/** Points on the unit sphere (K x P), spread evenly at random. */
function directions(K: number, P: number, seed: number, stream: number): Float32Array {
  const values = normals(seed, stream, initPurpose, K * P);
  for (let k = 0; k < K; k++) {
    const row = values.subarray(k * P, (k + 1) * P);
    const norm = Math.hypot(...row);
    row.forEach((v, i) => {
      row[i] = v / norm;
    });
  }
  return values;
}

/** Components of equal weight at means (K, P), all with variances (P). */
function stateAt(
  means: Float32Array,
  variances: Float32Array,
  { forgetting }: MixtureOptions,
): MixtureState {
  const P = variances.length;
  const shape = [means.length / P, P];
  const weight = 1 / forgetting;
  const at = (value: (mean: number, i: number) => number) => tensor(means.map(value), shape);
  return {
    pi: full([shape[0]!], P / means.length),
    mu: at((mean) => mean),
    variance: at((_, i) => variances[i % P]!),
    s0: full([shape[0]!], weight),
    s1: at((mean) => weight * mean),
    s2: at((mean, i) => weight * (mean * mean + variances[i % P]!)),
  };
}

/**
 * Prototypes learnt apart from the encoder ("Why prototypes collapse", arXiv 2510.20108): the means of
 * a Gaussian mixture with diagonal covariances over the teacher's bottleneck vectors, by online EM in
 * which each component forgets as much as it is given. No gradient reaches them.
 */
export class MixturePrototypes {
  constructor(
    private readonly mixture: MixtureState,
    private readonly options: MixtureOptions,
  ) {
    checkNumber('mixture.forgetting', options.forgetting, Number.MIN_VALUE, 1 - 1e-9);
    checkNumber('mixture.varianceFloor', options.varianceFloor, Number.MIN_VALUE);
  }

  /**
   * K components at random directions, with the variance 1 / P that points spread over the sphere
   * have, and the statistics 1 / forgetting that every component in use tends to: all weigh the same
   * from the start, so those that were first near the data have no lead over the others.
   */
  static fresh(K: number, P: number, seed: number, stream: number, options: MixtureOptions) {
    const means = directions(K, P, seed, stream);
    const variances = new Float32Array(P).fill(1 / P);
    return new MixturePrototypes(stateAt(means, variances, options), options);
  }

  /**
   * Puts the components at rows (K, P) of the data, with variances (P) that all share. Encoders that
   * have learnt nothing map all images into a narrow cone, where a random direction is never near.
   */
  startAt(rows: Float32Array, variances: Float32Array): void {
    const start = stateAt(rows, variances, this.options);
    for (const name of Object.keys(start) as (keyof MixtureState)[]) {
      assign(this.mixture[name], start[name]);
      start[name].dispose();
    }
  }

  /** Means (K, P), changed in place by `update`. */
  get means(): Tensor {
    return this.mixture.mu;
  }

  get state(): ReadonlyMap<string, Tensor> {
    const { pi, mu, variance, s0, s1, s2 } = this.mixture;
    return new Map(Object.entries({ prototypes: mu, pi, variance, s0, s1, s2 }));
  }

  /**
   * Moves towards rows z (rows, P), unless `guard` is not finite. Writes their responsibilities down:
   * rows x K numbers.
   */
  update(z: Tensor, annealing: number, guard: Tensor): void {
    const { forgetting: eta, varianceFloor } = this.options;
    const { gamma } = gmmResponsibilities(z, this.mixture, annealing);
    const options = { eta, varianceFloor, byResponsibility: true };
    gmmUpdate(this.mixture, z, gamma, options, guard);
  }
}
