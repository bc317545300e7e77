import { dot, log, meanRows, type Tensor, tensor, weightedSum } from '../../tensor/index.js';

/**
 * ME-MAX (Assran et al. 2022, MSN, eq. 2): log K - H(mean over rows of p), p (rows, K) probabilities;
 * 0 when all prototypes are used alike, log K when one is.
 */
export function meMax(probabilities: Tensor): Tensor {
  const mean = meanRows(probabilities);
  const uniform = tensor([Math.log(mean.size)], []);
  return weightedSum([dot(mean, log(mean)), uniform], [1, 1]);
}
