import { addNoise, koleo, limitGradient, type Tensor } from '../../tensor/index.js';

export interface KoleoProtoOptions {
  /** Added to the distance inside the logarithm. @default 1e-8 */
  eps?: number;
  /**
   * Distance below which the force no longer grows: near copies would otherwise get a gradient of
   * 1 / eps, which wipes out all else under clipping. 0 is the plain formula. @default 1e-3
   */
  minDistance?: number;
  /**
   * Limit of the norm of this term's own gradient (its weight included), so that it can never crowd
   * out the cross-entropy's in the clipping of their sum; 0: none. @default 0
   */
  clip?: number;
  /**
   * Length of a fixed noise vector added to each prototype, so that exact copies, which have no
   * direction from each other, part; the same in every step. 0: the plain formula. @default 0
   */
  tieBreak?: number;
}

const tiePurpose = 9;

/**
 * KoLeo-proto: -1/K Σ_k log(min_{j != k} ||u_k - u_j|| + eps), u = prototypes (K, P) normalised.
 * Spreads the prototypes over the sphere (Govindarajan et al. 2024, eq. 8).
 */
export function koleoProto(prototypes: Tensor, options: KoleoProtoOptions = {}): Tensor {
  const { eps = 1e-8, minDistance = 1e-3, clip = 0, tieBreak = 0 } = options;
  const P = prototypes.shape[1]!;
  const limited = clip > 0 ? limitGradient(prototypes, clip) : prototypes;
  const key = { seed: 0, epoch: 0, sample: 0, purpose: tiePurpose };
  const parted = tieBreak > 0 ? addNoise(limited, tieBreak / Math.sqrt(P), key) : limited;
  return koleo(parted, { eps, minDistance }).loss;
}
