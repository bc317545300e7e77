import { purposes, RandomStream } from '../../nn/index.js';
import { blockMask, type Grid, inverseBlockMask, randomMask } from './patterns.js';

export const maskKinds = ['none', 'block', 'random', 'inverse-block'] as const;
export type MaskKind = (typeof maskKinds)[number];

/** Who draws the ratios: each crop for itself (iBOT), or the batch, in even steps (DINOv2). */
export const maskSamplings = ['crop', 'batch'] as const;
export type MaskSampling = (typeof maskSamplings)[number];

export interface MaskOptions {
  kind: Exclude<MaskKind, 'none'>;
  sampling: MaskSampling;
  /** Share of the crops that are masked. */
  probability: number;
  /** Share of a masked crop's patches. */
  ratio: readonly [number, number];
}

/** The crops of a batch: which sample each is of, and which view. */
export interface MaskKey {
  seed: number;
  epoch: number;
  step: number;
  samples: readonly number[];
  views: number;
}

/** The stream of view v; 255 is that of the whole batch. */
const purposeOf = (view: number) => purposes.mask + 256 * view;
const wholeBatch = 255;

/** One crop's mask; iBOT's smallest block grows with the grid, DINOv2's is 4 and its largest half of it. */
function maskOf(options: MaskOptions, grid: Grid, ratio: number, random: RandomStream): Uint8Array {
  const patches = grid.rows * grid.columns;
  const ofBatch = options.sampling === 'batch';
  const count = ofBatch ? Math.floor(patches * ratio) : patches * ratio;
  if (options.kind === 'random') return randomMask(grid, count, random);
  if (options.kind === 'inverse-block') return inverseBlockMask(grid, count, random);
  const third = Math.floor(Math.min(grid.rows, grid.columns) / 3);
  const limits = ofBatch
    ? { smallest: 4, largest: patches / 2 }
    : { smallest: third * third, largest: patches };
  return blockMask(grid, count, random, limits);
}

/**
 * The ratio of each crop, 0 for none. By crop: with the probability a number in the range (iBOT's list
 * of ratios and variances, of which a crop draws one). By batch: floor(probability x crops) crops, any
 * of them, one in each of as many equal parts of the range (DINOv2).
 */
function ratiosOf(options: MaskOptions, key: MaskKey, streams: RandomStream[]): number[] {
  const { probability, sampling } = options;
  const [low, high] = options.ratio;
  if (sampling === 'crop')
    return streams.map((random) => (random.next() < probability ? random.between(low, high) : 0));
  const { seed, step } = key;
  const random = new RandomStream({ seed, epoch: step, sample: 0, purpose: purposeOf(wholeBatch) });
  const masked = Math.floor(probability * streams.length);
  const part = (high - low) / masked;
  const ratios = Array<number>(streams.length).fill(0);
  const order = random.permutation(streams.length);
  for (let i = 0; i < masked; i++)
    ratios[order[i]!] = random.between(low + i * part, low + (i + 1) * part);
  return ratios;
}

/** Masks of all crops of a step, view by view: (views x samples x patches), 1 = masked. */
export function drawMasks(options: MaskOptions, grid: Grid, key: MaskKey): Uint8Array {
  const { seed, epoch, samples, views } = key;
  const streams = Array.from({ length: views * samples.length }, (_, i) => {
    const view = Math.floor(i / samples.length);
    const sample = samples[i % samples.length]!;
    return new RandomStream({ seed, epoch, sample, purpose: purposeOf(view) });
  });
  const ratios = ratiosOf(options, key, streams);
  const patches = grid.rows * grid.columns;
  const masks = new Uint8Array(streams.length * patches);
  streams.forEach((random, i) => {
    if (ratios[i]) masks.set(maskOf(options, grid, ratios[i], random), i * patches);
  });
  return masks;
}

/**
 * The patches an anchor keeps when a share of them is dropped (MSN): floor(N (1 - share)) places,
 * one draw for the whole batch.
 */
export function visiblePatches(
  { rows, columns }: Grid,
  dropped: number,
  { seed, step }: { seed: number; step: number },
): Int32Array {
  const key = { seed, epoch: step, sample: 0, purpose: purposes.droppedPatches };
  const order = new RandomStream(key).permutation(rows * columns);
  return order.subarray(0, Math.floor(order.length * (1 - dropped))).sort();
}
