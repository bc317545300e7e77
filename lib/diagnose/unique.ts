import { checkNumber } from '../error.js';
import { type Tensor, type UniqueRule, uniquePrototypes } from '../tensor/index.js';

/** Which prototypes are copies of which, and how many are left. */
export interface UniqueReport {
  /** K */
  total: number;
  /** M */
  unique: number;
  epsilon: number;
  rule: UniqueRule;
  /** Copies per unique prototype, itself included: max and mean K / M. */
  redundancy: { max: number; mean: number; histogram: Record<string, number> };
}

export interface UniqueGroups extends UniqueReport {
  /** Row of each unique prototype, in index order (M). */
  rows: Int32Array;
  /** Which unique prototype (0 ... M - 1) each prototype belongs to (K). */
  group: Int32Array;
  /** r_m: prototypes per unique prototype (M). */
  sizes: Int32Array;
}

/** Groups given by the row that stands for each prototype. */
export function groupsOf(
  leaders: ArrayLike<number>,
  epsilon: number,
  rule: UniqueRule,
): UniqueGroups {
  const total = leaders.length;
  const number = new Int32Array(total).fill(-1);
  const found = new Int32Array(total);
  const group = new Int32Array(total);
  let unique = 0;
  for (let k = 0; k < total; k++) {
    const leader = leaders[k]!;
    if (number[leader]! < 0) {
      found[unique] = leader;
      number[leader] = unique++;
    }
    group[k] = number[leader]!;
  }
  const sizes = new Int32Array(unique);
  for (const m of group) sizes[m]!++;
  return {
    total,
    unique,
    epsilon,
    rule,
    redundancy: {
      max: sizes.reduce((a, b) => Math.max(a, b), 0),
      mean: total / unique,
      histogram: histogram(sizes),
    },
    rows: found.slice(0, unique),
    group,
    sizes,
  };
}

/** Unique prototypes by the number of copies each has, in powers of two: "1", "2", "3-4", ... */
function histogram(sizes: Int32Array): Record<string, number> {
  const bins: Record<string, number> = {};
  for (const size of sizes) {
    const high = 2 ** Math.ceil(Math.log2(size));
    const name = high <= 2 ? String(high) : `${high / 2 + 1}-${high}`;
    bins[name] = (bins[name] ?? 0) + 1;
  }
  return bins;
}

export interface UniqueOptions {
  /** Cosine distance below which two prototypes are copies. @default 0.025 */
  epsilon?: number;
  /** @default 'greedy' */
  rule?: UniqueRule;
}

/**
 * Counts unique prototypes (Govindarajan et al. 2024, section 3): rows (K, P) in index order join the
 * first unique one within epsilon, or become unique. Directions alone matter.
 * @throws ERR_PROTEA_CONFIG when epsilon is not in [0, 2]
 */
export async function findUnique(
  prototypes: Tensor,
  { epsilon = 0.025, rule = 'greedy' }: UniqueOptions = {},
): Promise<UniqueGroups> {
  checkNumber('epsilon', epsilon, 0, 2);
  const leaders = uniquePrototypes(prototypes, [epsilon], rule);
  try {
    return groupsOf(await leaders.read(), epsilon, rule);
  } finally {
    leaders.dispose();
  }
}

/** The report without its arrays. */
export const reportOf = ({
  total,
  unique,
  epsilon,
  rule,
  redundancy,
}: UniqueGroups): UniqueReport => ({ total, unique, epsilon, rule, redundancy });
