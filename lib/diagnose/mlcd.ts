/** How evenly a distribution over prototypes is spread. Entropies in nats. */
export interface Spread {
  entropy: number;
  /** Entropy over its maximum, ln of the number of prototypes; 0 for a single one. */
  normalized: number;
  perplexity: number;
  klToUniform: number;
}

/** The marginal latent class distribution over all prototypes, and over the unique ones. */
export interface MlcdReport {
  all: Spread;
  unique: Spread;
}

/** Entropy -Σ p ln p of a distribution, with what follows from it. Rounding of its sum is undone. */
export function spreadOf(distribution: ArrayLike<number>): Spread {
  let sum = 0;
  for (let k = 0; k < distribution.length; k++) sum += distribution[k]!;
  let entropy = 0;
  for (let k = 0; k < distribution.length; k++) {
    const p = distribution[k]! / sum;
    if (p > 0) entropy -= p * Math.log(p);
  }
  const most = Math.log(distribution.length);
  return {
    entropy,
    normalized: most > 0 ? entropy / most : 0,
    perplexity: Math.exp(entropy),
    klToUniform: most - entropy,
  };
}

/** The distribution (K) summed over each group of copies (M). */
export function mergeCopies(
  distribution: ArrayLike<number>,
  group: Int32Array,
  unique: number,
): Float64Array {
  const merged = new Float64Array(unique);
  for (let k = 0; k < distribution.length; k++) merged[group[k]!]! += distribution[k]!;
  return merged;
}

/** MLCD over all prototypes against the unique ones: redundancy that the first hides. */
export const mlcdReport = (
  distribution: ArrayLike<number>,
  group: Int32Array,
  unique: number,
): MlcdReport => ({
  all: spreadOf(distribution),
  unique: spreadOf(mergeCopies(distribution, group, unique)),
});
