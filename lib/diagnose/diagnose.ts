import { checkNumber, ProteaError } from '../error.js';
import { release } from '../formats/release.js';
import { prototypeGroups, Tensor, tensor, type UniqueRule } from '../tensor/index.js';
import {
  effectiveRank,
  lengths,
  type Neighbours,
  neighboursOf,
  type Quantiles,
  quantiles,
  type Rows,
} from './geometry.js';
import { type OnProgress, watched } from './progress.js';
import { groupsOf, reportOf, type UniqueGroups, type UniqueReport } from './unique.js';

/** Where the count is taken besides at the epsilon that was asked for. */
export const curveEpsilons: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1];

export interface DiagnoseOptions {
  /** Cosine distance below which two prototypes are copies. @default 0.025 */
  epsilon?: number;
  /** @default 'greedy' */
  rule?: UniqueRule;
  /** Further epsilons for the curve, from the same sweep. @default curveEpsilons */
  epsilons?: readonly number[];
  /** Learnt magnitudes (K), where prototypes are directions times magnitudes. */
  gains?: ArrayLike<number>;
  /** Temperature by which magnitudes become concentrations, for von Mises-Fisher heads. */
  temperature?: number;
  /** Named in errors. @default 'prototypes' */
  name?: string;
  onProgress?: OnProgress;
  /** Gives the memory of `values` back once they are copied; they have length 0 then. @default false */
  consume?: boolean;
}

export interface CurvePoint {
  epsilon: number;
  /** Unique prototypes by the greedy rule, and connected components. */
  greedy: number;
  components: number;
  /** Copies in the largest greedy group. */
  largest: number;
}

export interface Diagnosis extends UniqueReport {
  dim: number;
  /** Counts at every epsilon, rising. */
  curve: CurvePoint[];
  /** The rows that stand for the largest groups, with the sizes of these. */
  groups: { row: number; size: number }[];
  neighbours: Neighbours | null;
  effectiveRank: number | null;
  /** Magnitudes: the learnt ones, or else the lengths of the rows. */
  norms: Quantiles;
  /** Concentrations kappa = magnitude / temperature. Null unless magnitudes are learnt. */
  kappa: (Quantiles & { temperature: number }) | null;
  /** Prototypes of (almost) no length: under a millionth of the mean. */
  dead: number;
}

/** Which prototypes are copies, and the report on them. */
export interface DiagnosisResult {
  report: Diagnosis;
  groups: UniqueGroups;
}

const shownGroups = 20;

/** A set of prototypes (K, P), K > 0: as a tensor, or as numbers row by row. */
export type Prototypes = Tensor | { values: ArrayLike<number>; shape: readonly number[] };

/**
 * What can be said about prototypes (K, P) from themselves alone: how many are distinct, who copies
 * whom, how near they lie, how many directions they span.
 * @throws ERR_PROTEA_SHAPE unless they are a matrix of at least one row
 * @throws ERR_PROTEA_NUMERIC naming the first row that holds NaN or infinity
 * @throws ERR_PROTEA_CONFIG when an epsilon is not in [0, 2]
 */
export async function diagnose(
  prototypes: Prototypes,
  options: DiagnoseOptions = {},
): Promise<DiagnosisResult> {
  const { epsilon = 0.025, rule = 'greedy', epsilons = curveEpsilons, onProgress } = options;
  for (const value of [epsilon, ...epsilons]) checkNumber('epsilon', value, 0, 2);
  const name = options.name ?? 'prototypes';
  const rows = await rowsOf(prototypes, name);
  const [length, rank] = [lengths(rows), await effectiveRank(rows)];
  const { total, dim } = rows;
  const placed = prototypes instanceof Tensor ? prototypes : tensor(rows.values, [total, dim]);
  if (placed === prototypes || options.consume) await release(rows.values);
  try {
    const asked = [...new Set([epsilon, ...epsilons])].sort((a, b) => a - b);
    const { found, curve } = await watched('copies', sweep(placed, asked, epsilon), onProgress);
    const neighbours = await watched('neighbours', neighboursOf(placed, found.greedy), onProgress);
    const groups = found[rule];
    const own = described(groups, dim, length, options);
    return { report: { ...own, neighbours, effectiveRank: rank, curve }, groups };
  } finally {
    if (placed !== prototypes) placed.dispose();
  }
}

type Swept = Record<UniqueRule, UniqueGroups>;

/** Counts by both rules at every epsilon, from one sweep, and the groups at one of them. */
async function sweep(prototypes: Tensor, epsilons: readonly number[], epsilon: number) {
  const K = prototypes.shape[0]!;
  const read = prototypeGroups(prototypes, epsilons);
  try {
    const leaders = await read.read();
    const at = (row: number, rule: UniqueRule) =>
      groupsOf(leaders.subarray(row * K, (row + 1) * K), epsilons[row % epsilons.length]!, rule);
    const both = (e: number): Swept => ({
      greedy: at(e, 'greedy'),
      components: at(epsilons.length + e, 'components'),
    });
    const curve = epsilons.map((_, e) => pointOf(both(e)));
    return { found: both(epsilons.indexOf(epsilon)), curve };
  } finally {
    read.dispose();
  }
}

const pointOf = ({ greedy, components }: Swept): CurvePoint => ({
  epsilon: greedy.epsilon,
  greedy: greedy.unique,
  components: components.unique,
  largest: greedy.redundancy.max,
});

async function rowsOf(prototypes: Prototypes, name: string): Promise<Rows> {
  const { shape } = prototypes;
  const [total = 0, dim = 0] = shape;
  if (shape.length !== 2 || !total || !dim)
    throw new ProteaError('ERR_PROTEA_SHAPE', `${name} must be (K, P), got (${shape.join(', ')})`);
  const given = prototypes instanceof Tensor ? await prototypes.read() : prototypes.values;
  const values =
    given instanceof Float32Array || given instanceof Float64Array
      ? given
      : Float32Array.from(given);
  checkFinite(values, dim, name);
  return { values, total, dim };
}

function checkFinite(values: Float32Array | Float64Array, dim: number, name: string): void {
  let first = -1;
  let count = 0;
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i])) {
      if (!count) first = i;
      count++;
    }
  if (!count) return;
  throw new ProteaError(
    'ERR_PROTEA_NUMERIC',
    `${name}: ${count} of ${values.length} numbers are not finite, the first in row ${Math.floor(first / dim)}`,
    { hint: 'The run that wrote them has diverged: take an earlier checkpoint.' },
  );
}

/** What follows from lengths and groups. */
function described(
  groups: UniqueGroups,
  dim: number,
  length: Float64Array,
  { gains, temperature, name = 'prototypes' }: DiagnoseOptions,
) {
  const { total } = groups;
  if (gains && gains.length !== total)
    throw new ProteaError(
      'ERR_PROTEA_SHAPE',
      `${name}: ${gains.length} magnitudes for ${total} prototypes`,
    );
  const magnitudes = gains ? Float64Array.from(gains, Math.abs) : length;
  const mean = magnitudes.reduce((a, b) => a + b, 0) / total;
  const learnt = gains && temperature && new Set(magnitudes).size > 1;
  const largest = [...groups.sizes.keys()].sort(
    (a, b) => groups.sizes[b]! - groups.sizes[a]! || a - b,
  );
  return {
    ...reportOf(groups),
    dim,
    groups: largest
      .slice(0, shownGroups)
      .map((m) => ({ row: groups.rows[m]!, size: groups.sizes[m]! })),
    norms: quantiles(magnitudes),
    kappa: learnt ? { temperature, ...quantiles(magnitudes.map((g) => g / temperature)) } : null,
    dead: magnitudes.filter((g, k) => g <= 1e-6 * mean || length[k] === 0).length,
  };
}
