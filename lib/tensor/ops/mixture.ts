// Gaussian mixtures with diagonal covariances, learnt online (arXiv 2510.20108). Equations stand in
// native/ops/gmm_*; shapes that do not fit throw ERR_PROTEA_SHAPE at the call.

import { call } from '../call.js';
import { unrecorded } from '../scope.js';
import type { Tensor } from '../tensor.js';

/** Weights (K), means and variances (K, D), and the statistics they come from: (K), (K, D), (K, D). */
export interface MixtureState {
  pi: Tensor;
  mu: Tensor;
  variance: Tensor;
  s0: Tensor;
  s1: Tensor;
  s2: Tensor;
}

/**
 * The E-step: softmax over components of beta log(π_k N(x_b; mu_k, var_k)) for rows x (B, D), as gamma
 * (B, K), and the mean log-likelihood (). No gradient. `beta` < 1 anneals (Ueda & Nakano 1998).
 */
export function gmmResponsibilities(
  x: Tensor,
  { pi, mu, variance }: Pick<MixtureState, 'pi' | 'mu' | 'variance'>,
  beta = 1,
): { gamma: Tensor; logLikelihood: Tensor } {
  const [gamma, logLikelihood] = unrecorded(() =>
    call('gmm_responsibilities', [x, pi, mu, variance], { beta }),
  );
  return { gamma: gamma!, logLikelihood: logLikelihood! };
}

export interface MixtureUpdate {
  /** How fast the statistics forget, in (0, 1). */
  eta: number;
  /** Smallest variance. */
  varianceFloor: number;
  /** Components forget in proportion to what they are given; otherwise all at one rate. */
  byResponsibility: boolean;
}

/**
 * The M-step of online EM, in place: moves the mixture towards rows x (B, D) with responsibilities gamma
 * (B, K), unless `guard` is not finite. Returns whether it was done: () i32, 0 or 1.
 * @throws ERR_PROTEA_UNSUPPORTED when eta is not in (0, 1) or the floor not above 0
 */
export const gmmUpdate = (
  { pi, mu, variance, s0, s1, s2 }: MixtureState,
  x: Tensor,
  gamma: Tensor,
  { eta, varianceFloor, byResponsibility }: MixtureUpdate,
  guard?: Tensor,
): Tensor =>
  unrecorded(() =>
    call('gmm_update', [pi, mu, variance, s0, s1, s2, x, gamma, guard], {
      eta,
      var_floor: varianceFloor,
      by_responsibility: Number(byResponsibility),
    }),
  )[0]!;
