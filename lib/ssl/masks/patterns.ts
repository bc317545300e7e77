// Which patches of one crop are masked: 1 = masked, in raster order.
import type { RandomStream } from '../../nn/index.js';

/** Patches of a crop. */
export interface Grid {
  rows: number;
  columns: number;
}

export interface BlockLimits {
  /** Smallest area a block is drawn for. */
  smallest: number;
  /** Largest area of a block. */
  largest: number;
}

const attempts = 10;
const logAspect = Math.log(1 / 0.3);

/** Masks the patches of a rectangle that are not yet; returns how many, or 0 when they are too many. */
function addBlock(mask: Uint8Array, grid: Grid, random: RandomStream, area: number, most: number) {
  const aspect = Math.exp(random.between(-logAspect, logAspect));
  const height = Math.round(Math.sqrt(area * aspect));
  const width = Math.round(Math.sqrt(area / aspect));
  if (height >= grid.rows || width >= grid.columns) return 0;
  const top = random.below(grid.rows - height + 1);
  const left = random.below(grid.columns - width + 1);
  const places: number[] = [];
  for (let y = top; y < top + height; y++)
    for (let x = left; x < left + width; x++)
      if (!mask[y * grid.columns + x]) places.push(y * grid.columns + x);
  if (places.length > most) return 0;
  for (const place of places) mask[place] = 1;
  return places.length;
}

/**
 * Blocks until about `count` patches are masked (BEiT's generator as in iBOT and DINOv2): an area
 * between the limits and what is left, an aspect of 0.3 to 1 / 0.3; ends when ten attempts add nothing.
 */
export function blockMask(
  grid: Grid,
  count: number,
  random: RandomStream,
  { smallest, largest }: BlockLimits,
): Uint8Array {
  const mask = new Uint8Array(grid.rows * grid.columns);
  let masked = 0;
  while (masked < count) {
    const most = Math.min(count - masked, largest);
    let added = 0;
    for (let i = 0; i < attempts && !added; i++)
      added = addBlock(mask, grid, random, random.between(smallest, most), most);
    if (!added) break;
    masked += added;
  }
  return mask;
}

/** Exactly floor(count) patches anywhere. */
export function randomMask({ rows, columns }: Grid, count: number, random: RandomStream) {
  const mask = new Uint8Array(rows * columns);
  const order = random.permutation(mask.length);
  for (const place of order.subarray(0, Math.floor(count))) mask[place] = 1;
  return mask;
}

/**
 * All but exactly rows x columns - floor(count) patches, at least one: a rectangle, which may wrap
 * around and whose last column may be short (CAPI).
 */
export function inverseBlockMask(grid: Grid, count: number, random: RandomStream): Uint8Array {
  const { rows, columns } = grid;
  const mask = new Uint8Array(rows * columns).fill(1);
  const kept = Math.max(1, mask.length - Math.floor(count));
  const aspect = Math.exp(random.between(-logAspect, logAspect));
  const least = Math.ceil(kept / columns);
  const height = Math.min(rows, Math.max(least, Math.round(Math.sqrt(kept * aspect))));
  const [top, left] = [random.below(rows), random.below(columns)];
  for (let i = 0; i < kept; i++) {
    const [y, x] = [top + (i % height), left + Math.floor(i / height)];
    mask[(y % rows) * columns + (x % columns)] = 0;
  }
  return mask;
}
