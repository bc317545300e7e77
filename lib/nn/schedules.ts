import { checkInteger } from '../error.js';

/** A value for each iteration. */
export type Schedule = (iteration: number) => number;

export interface CosineOptions {
  /** Value after the warm-up. */
  base: number;
  /** What the cosine tends to; the last iteration is one short of it. */
  final: number;
  /** Iterations in all. */
  total: number;
  /** Iterations of linear warm-up, both ends included. @default 0 */
  warmup?: number;
  /** Value at the first iteration of the warm-up. @default 0 */
  start?: number;
  /** Iterations of zero before the warm-up, counted within `total`. @default 0 */
  freeze?: number;
}

/**
 * Zeros, then a linear warm-up, then final + (base - final) / 2 (1 + cos(π j / n)), the schedule of
 * DINO and DINOv2. Beyond `total` the value stays at `final`.
 */
export function cosine(options: CosineOptions): Schedule {
  const { base, final, total, warmup = 0, start = 0, freeze = 0 } = options;
  for (const [name, value] of Object.entries({ total, warmup, freeze }))
    checkInteger(name, value, 0);
  const left = total - warmup - freeze;
  return (iteration) => {
    if (iteration < freeze) return 0;
    if (iteration < freeze + warmup) return linear(start, base, warmup, iteration - freeze);
    const j = iteration - freeze - warmup;
    if (j >= left) return final;
    return final + 0.5 * (base - final) * (1 + Math.cos((Math.PI * j) / left));
  };
}

/** base + (final - base) i / total, and `final` from there on: the EMA momentum of MSN. */
export const line =
  ({ base, final, total }: Pick<CosineOptions, 'base' | 'final' | 'total'>): Schedule =>
  (i) =>
    i < total ? base + ((final - base) * i) / total : final;

/** Item i of `count` values from `first` to `last`, both included; one value is `first`. */
function linear(first: number, last: number, count: number, i: number): number {
  return count > 1 ? first + ((last - first) * i) / (count - 1) : first;
}

/** linspace(start, base, warmup), then base: the teacher temperature of DINO. */
export const rampThenConstant =
  (start: number, base: number, warmup: number): Schedule =>
  (i) =>
    i < warmup ? linear(start, base, warmup, i) : base;
