import { type Normalisation, type PictureCache, plainBatch } from '../data/index.js';
import type { VisionTransformer } from '../nn/index.js';
import {
  l2Normalize,
  scope,
  type Tensor,
  tensor,
  unrecorded,
  type Values,
} from '../tensor/index.js';

export interface FeatureOptions {
  /** Side of the square the network sees. */
  size: number;
  normalisation: Normalisation;
  /** @default 64 */
  batch?: number;
  /** The CLS token, or the mean of the patch tokens for networks that train those. @default 'cls' */
  pool?: 'cls' | 'patches';
  /** Features of length 1, as kNN takes them. @default true */
  normalised?: boolean;
  /** Told of the share that is done. */
  onProgress?: (share: number) => void;
}

export interface Labelled {
  /** L2-normalised features (N, D). */
  features: Tensor;
  /** Class numbers (N). */
  labels: ArrayLike<number>;
}

export interface Features {
  /** (N, D), L2-normalised unless that is turned off. */
  features: Tensor;
  /** Rows of the data set, in order; unreadable pictures are missing. */
  rows: number[];
}

/** The mean patch token (B, D) of tokens (B, before + N, D): its direction, or itself. */
function meanPatches(
  tokens: Values,
  images: number,
  { before, dim, normalised }: { before: number; dim: number; normalised: boolean },
): Float32Array {
  const length = tokens.length / images / dim;
  const result = new Float32Array(images * dim);
  for (let b = 0; b < images; b++) {
    const row = result.subarray(b * dim, (b + 1) * dim);
    for (let n = before; n < length; n++)
      for (let d = 0; d < dim; d++) row[d]! += Number(tokens[(b * length + n) * dim + d]);
    const by = normalised ? Math.max(Math.hypot(...row), 1e-12) : length - before;
    for (let d = 0; d < dim; d++) row[d]! /= by;
  }
  return result;
}

/** CLS features, or mean patch tokens, of the given rows of a data set, each picture resized and cut to the middle. */
export async function extractFeatures(
  backbone: VisionTransformer,
  cache: PictureCache,
  rows: readonly number[],
  { size, normalisation, batch = 64, pool = 'cls', normalised = true, onProgress }: FeatureOptions,
): Promise<Features> {
  const { dim } = backbone.config;
  const values = new Float32Array(rows.length * dim);
  const used: number[] = [];
  for (let begin = 0; begin < rows.length; begin += batch) {
    onProgress?.(begin / rows.length);
    const plain = await plainBatch(cache, rows.slice(begin, begin + batch), size, normalisation);
    if (!plain.rows.length) continue;
    const images = plain.rows.length;
    const made = scope(() =>
      unrecorded(() => {
        const pictures = tensor(plain.values, [images, 3, size, size]);
        if (pool === 'patches') return backbone.forward(pictures);
        const features = backbone.features(pictures);
        return normalised ? l2Normalize(features) : features;
      }),
    );
    const found = await made.read();
    const of = { before: 1 + backbone.config.registers, dim, normalised };
    const features = pool === 'patches' ? meanPatches(found, images, of) : found;
    values.set(features, used.length * dim);
    made.dispose();
    used.push(...plain.rows);
  }
  const features = tensor(values.slice(0, used.length * dim), [used.length, dim]);
  return { features, rows: used };
}
