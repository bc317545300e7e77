import { koleo, type Tensor } from '../../tensor/index.js';

export interface KoleoProtoOptions {
  /** Added to the distance inside the logarithm. @default 1e-8 */
  eps?: number;
  /**
   * Distance below which the force no longer grows: exact copies would otherwise get a gradient of
   * 1 / eps, which wipes out all else under clipping. 0 is the plain formula. @default 1e-3
   */
  minDistance?: number;
}

/**
 * KoLeo-proto: -1/K Σ_k log(min_{j != k} ||u_k - u_j|| + eps), u = prototypes (K, P) normalised.
 * Spreads the prototypes over the sphere (Govindarajan et al. 2024, eq. 8).
 */
export function koleoProto(
  prototypes: Tensor,
  { eps = 1e-8, minDistance = 1e-3 }: KoleoProtoOptions = {},
): Tensor {
  return koleo(prototypes, { eps, minDistance }).loss;
}
