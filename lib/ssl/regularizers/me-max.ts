import {
  dot,
  log,
  meanAssignment,
  meanRows,
  type PrototypeRows,
  type Tensor,
  tensor,
  weightedSum,
} from '../../tensor/index.js';

/** log K - H(mean), mean (K). */
function missingEntropy(mean: Tensor): Tensor {
  const uniform = tensor([Math.log(mean.size)], [], mean.dtype);
  return weightedSum([dot(mean, log(mean)), uniform], [1, 1]);
}

/**
 * ME-MAX (Assran et al. 2022, MSN, eq. 2): log K - H(mean over rows of p), p (rows, K) probabilities;
 * 0 when all prototypes are used alike, log K when one is.
 */
export const meMax = (probabilities: Tensor): Tensor => missingEntropy(meanRows(probabilities));

/** The same of bottleneck vectors z (rows, P) against K prototypes; nothing of size rows x K is kept. */
export const meMaxOf = (rows: PrototypeRows): Tensor => missingEntropy(meanAssignment(rows));
