// What a set of prototypes looks like: lengths, neighbours, rank.
import { linear, nearestPrototypes, type Tensor, tensor } from '../tensor/index.js';
import { symmetricEigenvalues } from './eigenvalues.js';
import type { UniqueGroups } from './unique.js';

/** Prototypes in JavaScript: (total, dim), row by row. */
export interface Rows {
  values: Float32Array | Float64Array;
  total: number;
  dim: number;
}

/** Least, quantiles and greatest of some numbers. */
export interface Quantiles {
  min: number;
  q10: number;
  median: number;
  q90: number;
  max: number;
  mean: number;
}

/** Quantiles by the nearest rank. */
export function quantiles(numbers: ArrayLike<number>): Quantiles {
  const sorted = Float64Array.from(numbers).sort();
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  const mean = sorted.reduce((a, b) => a + b, 0) / sorted.length;
  return { min: at(0), q10: at(0.1), median: at(0.5), q90: at(0.9), max: at(1), mean };
}

/** ||w_k|| of each row (K). */
export function lengths({ values, total, dim }: Rows): Float64Array {
  const result = new Float64Array(total);
  for (let k = 0; k < total; k++) {
    let square = 0;
    for (let j = k * dim; j < (k + 1) * dim; j++) square += values[j]! * values[j]!;
    result[k] = Math.sqrt(square);
  }
  return result;
}

export interface Neighbours {
  /** Cosine distance of each prototype to its nearest other. */
  distance: Quantiles;
  /** -mean log of the Euclidean distance of directions: the KoLeo estimate; low is well spread. */
  koleo: number;
}

/** Smallest distance inside the logarithm, as DINOv2's. */
const koleoEps = 1e-8;

/** Nearest other prototypes; `groups` are a head start. Null for a single one. */
export async function neighboursOf(
  prototypes: Tensor,
  groups: Pick<UniqueGroups, 'rows' | 'group'>,
): Promise<Neighbours | null> {
  const total = groups.group.length;
  if (total < 2) return null;
  const leader = tensor(
    groups.group.map((m) => groups.rows[m]!),
    [total],
  );
  const found = nearestPrototypes(prototypes, leader);
  try {
    const distance = (await found.distance.read()) as Float64Array;
    // The Euclidean distance of directions is sqrt(2 (1 - cos)).
    const logs = distance.reduce((sum, d) => sum + Math.log(Math.sqrt(2 * d) + koleoEps), 0);
    return { distance: quantiles(distance), koleo: -logs / total };
  } finally {
    for (const value of [leader, found.nearest, found.distance]) value.dispose();
  }
}

const chunkRows = 4096;
const widest = 1024;

/** Σ_k u_k u_kᵀ of the directions: (dim, dim). */
async function scatter({ values, total, dim }: Rows): Promise<Float64Array> {
  const sum = new Float64Array(dim * dim);
  const chunk = new Float32Array(dim * Math.min(chunkRows, total));
  for (let begin = 0; begin < total; begin += chunkRows) {
    const n = Math.min(chunkRows, total - begin);
    const columns = chunk.subarray(0, dim * n);
    for (let k = 0; k < n; k++) {
      const at = (begin + k) * dim;
      let square = 0;
      for (let j = 0; j < dim; j++) square += values[at + j]! * values[at + j]!;
      const inverse = 1 / Math.max(Math.sqrt(square), 1e-12);
      for (let j = 0; j < dim; j++) columns[j * n + k] = values[at + j]! * inverse;
    }
    const placed = tensor(columns, [dim, n]);
    const product = linear(placed, placed);
    const part = await product.read();
    for (let i = 0; i < sum.length; i++) sum[i]! += part[i]!;
    placed.dispose();
    product.dispose();
  }
  return sum;
}

/**
 * How many directions the prototypes span in effect: exp of the entropy of the singular values, as
 * shares of their sum (Roy and Vetterli 2007). Null beyond 1024 dimensions.
 */
export async function effectiveRank(rows: Rows): Promise<number | null> {
  if (rows.dim > widest) return null;
  const eigenvalues = symmetricEigenvalues(await scatter(rows), rows.dim);
  const singular = eigenvalues.map((value) => Math.sqrt(Math.max(0, value)));
  const sum = singular.reduce((a, b) => a + b, 0);
  const entropy = singular.reduce((h, s) => (s > 0 ? h - (s / sum) * Math.log(s / sum) : h), 0);
  return sum > 0 ? Math.exp(entropy) : 0;
}
