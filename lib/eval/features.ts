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
}

export interface Labelled {
  /** L2-normalised features (N, D). */
  features: Tensor;
  /** Class numbers (N). */
  labels: ArrayLike<number>;
}

export interface Features {
  /** L2-normalised (N, D). */
  features: Tensor;
  /** Rows of the data set, in order; unreadable pictures are missing. */
  rows: number[];
}

/** The mean patch token (B, D) of tokens (B, before + N, D), normalised. */
function meanPatches(tokens: Values, images: number, before: number, dim: number): Float32Array {
  const length = tokens.length / images / dim;
  const result = new Float32Array(images * dim);
  for (let b = 0; b < images; b++) {
    const row = result.subarray(b * dim, (b + 1) * dim);
    for (let n = before; n < length; n++)
      for (let d = 0; d < dim; d++) row[d]! += Number(tokens[(b * length + n) * dim + d]);
    const norm = Math.max(Math.hypot(...row), 1e-12);
    for (let d = 0; d < dim; d++) row[d]! /= norm;
  }
  return result;
}

/** CLS features, or mean patch tokens, of the given rows of a data set, each picture resized and cut to the middle. */
export async function extractFeatures(
  backbone: VisionTransformer,
  cache: PictureCache,
  rows: readonly number[],
  { size, normalisation, batch = 64, pool = 'cls' }: FeatureOptions,
): Promise<Features> {
  const { dim } = backbone.config;
  const values = new Float32Array(rows.length * dim);
  const used: number[] = [];
  for (let begin = 0; begin < rows.length; begin += batch) {
    const plain = await plainBatch(cache, rows.slice(begin, begin + batch), size, normalisation);
    if (!plain.rows.length) continue;
    const images = plain.rows.length;
    const made = scope(() =>
      unrecorded(() => {
        const pictures = tensor(plain.values, [images, 3, size, size]);
        if (pool === 'patches') return backbone.forward(pictures);
        return l2Normalize(backbone.features(pictures));
      }),
    );
    const found = await made.read();
    const before = 1 + backbone.config.registers;
    const features = pool === 'patches' ? meanPatches(found, images, before, dim) : found;
    values.set(features, used.length * dim);
    made.dispose();
    used.push(...plain.rows);
  }
  const features = tensor(values.slice(0, used.length * dim), [used.length, dim]);
  return { features, rows: used };
}
