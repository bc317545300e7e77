import { ProteaError } from '../error.js';
import { largestAssignment } from './assignment.js';

/** How clusters agree with classes; natural logarithms. */
export interface ClusterMetrics {
  /** I / ((H_class + H_cluster) / 2); 1 when both have a single group. */
  nmi: number;
  /** I / √(H_class H_cluster). */
  nmiGeometric: number;
  /** Rand index adjusted for chance (Hubert and Arabie 1985). */
  ari: number;
  /** Mutual information adjusted for chance, arithmetic mean (Vinh et al. 2010, eq. 24). */
  ami: number;
  /** Share of images right under the best one-to-one matching of clusters to classes. */
  hungarianAccuracy: number;
  /** Share of images in the largest class of their cluster. */
  purity: number;
  /** I in nats. */
  mutualInformation: number;
}

/** Counts of images by class and cluster, with their sums. */
interface Contingency {
  n: number;
  counts: number[][];
  classes: number[];
  clusters: number[];
}

function contingency(labels: ArrayLike<number>, clusters: ArrayLike<number>): Contingency {
  if (labels.length !== clusters.length || !labels.length)
    throw new ProteaError(
      'ERR_PROTEA_SHAPE',
      `${labels.length} labels, ${clusters.length} cluster numbers`,
    );
  const [rows, columns] = [numbering(labels), numbering(clusters)];
  const counts = Array.from(rows.values(), () => Array<number>(columns.size).fill(0));
  for (let i = 0; i < labels.length; i++)
    counts[rows.get(labels[i]!)!]![columns.get(clusters[i]!)!]! += 1;
  return {
    n: labels.length,
    counts,
    classes: counts.map(sum),
    clusters: Array.from(columns.values(), (k) => sum(counts.map((row) => row[k]!))),
  };
}

function numbering(values: ArrayLike<number>): Map<number, number> {
  const known = new Map<number, number>();
  for (let i = 0; i < values.length; i++)
    if (!known.has(values[i]!)) known.set(values[i]!, known.size);
  return known;
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const pairs = (n: number) => (n * (n - 1)) / 2;

const entropy = (counts: readonly number[], n: number) =>
  -sum(counts.map((c) => (c ? (c / n) * Math.log(c / n) : 0)));

function mutualInformation({ n, counts, classes, clusters }: Contingency): number {
  const terms = counts.flatMap((row, y) =>
    row.map((c, k) => (c ? (c / n) * Math.log((c * n) / (classes[y]! * clusters[k]!)) : 0)),
  );
  return Math.max(0, sum(terms));
}

function adjustedRand({ n, counts, classes, clusters }: Contingency): number {
  const together = sum(counts.flat().map(pairs));
  const [a, b] = [sum(classes.map(pairs)), sum(clusters.map(pairs))];
  const expected = n > 1 ? (a * b) / pairs(n) : 0;
  const most = (a + b) / 2;
  return most === expected ? 1 : (together - expected) / (most - expected);
}

/** log n! for n up to `most`. */
function logFactorials(most: number): Float64Array {
  const table = new Float64Array(most + 1);
  for (let n = 2; n <= most; n++) table[n] = table[n - 1]! + Math.log(n);
  return table;
}

/** Mean of I over all pairs of partitions with these sizes (Vinh et al. 2010, eq. 24a). */
function expectedInformation({ n, classes, clusters }: Contingency): number {
  const f = logFactorials(n);
  let total = 0;
  for (const a of classes)
    for (const b of clusters) {
      const fixed = f[a]! + f[b]! + f[n - a]! + f[n - b]! - f[n]!;
      for (let c = Math.max(1, a + b - n); c <= Math.min(a, b); c++) {
        const log = fixed - f[c]! - f[a - c]! - f[b - c]! - f[n - a - b + c]!;
        total += (c / n) * Math.log((n * c) / (a * b)) * Math.exp(log);
      }
    }
  return total;
}

/**
 * Agreement of cluster numbers with class labels.
 * @throws ERR_PROTEA_SHAPE when the two differ in length or are empty
 */
export function clusterMetrics(
  labels: ArrayLike<number>,
  clusters: ArrayLike<number>,
): ClusterMetrics {
  const table = contingency(labels, clusters);
  const [hy, hc] = [entropy(table.classes, table.n), entropy(table.clusters, table.n)];
  const information = mutualInformation(table);
  const expected = expectedInformation(table);
  const arithmetic = (hy + hc) / 2;
  const single = hy === 0 && hc === 0;
  const matched = largestAssignment(table.counts);
  return {
    nmi: single ? 1 : information / arithmetic,
    nmiGeometric: single ? 1 : hy * hc === 0 ? 0 : information / Math.sqrt(hy * hc),
    ari: adjustedRand(table),
    ami: single ? 1 : (information - expected) / (arithmetic - expected),
    hungarianAccuracy: sum(matched.map((k, y) => table.counts[y]![k] ?? 0)) / table.n,
    purity:
      sum(table.clusters.map((_, k) => Math.max(...table.counts.map((row) => row[k]!)))) / table.n,
    mutualInformation: information,
  };
}
