// Conditions on a diagnosis, for scripts: "unique<0.5".
import { invalid } from '../error.js';
import type { Diagnosis } from './diagnose.js';

type Measured = Pick<Diagnosis, 'unique' | 'total' | 'redundancy' | 'effectiveRank' | 'dead'>;

/** What can be asked for. Limits of `unique` up to 1, and of `dead` below 1, are shares of K; others are counts. */
const quantities: Record<string, (head: Measured, limit: number) => number | null> = {
  unique: ({ unique, total }, limit) => (limit <= 1 ? unique / total : unique),
  dead: ({ dead, total }, limit) => (limit < 1 ? dead / total : dead),
  largest: ({ redundancy }) => redundancy.max,
  rank: ({ effectiveRank }) => effectiveRank,
};

const comparisons: Record<string, (value: number, limit: number) => boolean> = {
  '<': (value, limit) => value < limit,
  '<=': (value, limit) => value <= limit,
  '>': (value, limit) => value > limit,
  '>=': (value, limit) => value >= limit,
};

export type Condition = (head: Measured) => boolean;

/**
 * Conditions by commas, of which one is enough: "unique<0.5", "unique<1000,largest>100", "rank<32"; a
 * number alone means "unique<number".
 * @throws ERR_PROTEA_CONFIG for anything else
 */
export function parseConditions(text: string): Condition {
  const conditions = text.split(',').map((part) => {
    const full = /^\s*[\d.]+\s*$/.test(part) ? `unique<${part}` : part;
    const [, name, sign, number] = /^\s*(\w+)\s*(<=|>=|<|>)\s*([\d.]+)\s*$/.exec(full) ?? [];
    const limit = Number(number);
    if (!name || !Object.hasOwn(quantities, name) || !Number.isFinite(limit))
      throw invalid('fail-on', 'a condition such as unique<0.5, largest>100 or rank<32', part);
    return (head: Measured) => {
      const value = quantities[name]!(head, limit);
      return value !== null && comparisons[sign!]!(value, limit);
    };
  });
  return (head) => conditions.some((condition) => condition(head));
}
