import { koleo, type Tensor } from '../../tensor/index.js';

/**
 * KoLeo over a batch of features (B, D), as in DINOv2 (Sablayrolles et al. 2019, eq. 2; eps 1e-8
 * added to the norm, to each coordinate and inside the logarithm).
 */
export const koleoLoss = (features: Tensor, eps = 1e-8): Tensor =>
  koleo(features, { eps, normEps: eps, pairwiseEps: 1e-8 }).loss;
