import { ProteaError } from '../error.js';

export interface KMeansResult {
  /** (k, D), row by row. */
  centers: Float64Array;
  /** The nearest final centre of each point. */
  labels: Int32Array;
  /** Sum of squared distances to the final centres. */
  inertia: number;
}

/** Nearest centre of each point by squared Euclidean distance, the first among equals. */
function assign(x: ArrayLike<number>, centers: Float64Array, dim: number) {
  const n = x.length / dim;
  const labels = new Int32Array(n);
  let inertia = 0;
  for (let i = 0; i < n; i++) {
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k * dim < centers.length; k++) {
      let distance = 0;
      for (let d = 0; d < dim; d++) distance += (x[i * dim + d]! - centers[k * dim + d]!) ** 2;
      if (distance < least) {
        least = distance;
        labels[i] = k;
      }
    }
    inertia += least;
  }
  return { labels, inertia };
}

/** Moves each centre to the mean of its points; one without points stays. */
function move(x: ArrayLike<number>, labels: Int32Array, centers: Float64Array, dim: number): void {
  const sums = new Float64Array(centers.length);
  const counts = new Float64Array(centers.length / dim);
  labels.forEach((k, i) => {
    counts[k]! += 1;
    for (let d = 0; d < dim; d++) sums[k * dim + d]! += x[i * dim + d]!;
  });
  for (let i = 0; i < centers.length; i++) {
    const count = counts[Math.floor(i / dim)]!;
    if (count) centers[i] = sums[i]! / count;
  }
}

/**
 * Lloyd's k-means of points (n, dim) from given centres (k, dim), in double; stops early when no label
 * changes.
 * @throws ERR_PROTEA_SHAPE when points or centres are not rows of dim numbers
 */
export function kMeans(
  x: ArrayLike<number>,
  init: ArrayLike<number>,
  dim: number,
  iterations = 100,
): KMeansResult {
  if (!(dim > 0) || x.length % dim || init.length % dim || !init.length)
    throw new ProteaError(
      'ERR_PROTEA_SHAPE',
      `${x.length} and ${init.length} numbers are not rows of ${dim}`,
    );
  const centers = Float64Array.from(init);
  let found = assign(x, centers, dim);
  for (let i = 0; i < iterations; i++) {
    const before = found.labels;
    move(x, before, centers, dim);
    found = assign(x, centers, dim);
    if (found.labels.every((k, j) => k === before[j])) break;
  }
  return { centers, ...found };
}
