import { type Normalisation, type PictureCache, plainBatch } from '../data/index.js';
import type { VisionTransformer } from '../nn/index.js';
import { l2Normalize, scope, type Tensor, tensor, unrecorded } from '../tensor/index.js';

export interface FeatureOptions {
  /** Side of the square the network sees. */
  size: number;
  normalisation: Normalisation;
  /** @default 64 */
  batch?: number;
}

export interface Features {
  /** L2-normalised CLS tokens (N, D). */
  features: Tensor;
  /** Rows of the data set, in order; unreadable pictures are missing. */
  rows: number[];
}

/** CLS features of the given rows of a data set, each picture resized and cut to the middle. */
export async function extractFeatures(
  backbone: VisionTransformer,
  cache: PictureCache,
  rows: readonly number[],
  { size, normalisation, batch = 64 }: FeatureOptions,
): Promise<Features> {
  const { dim } = backbone.config;
  const values = new Float32Array(rows.length * dim);
  const used: number[] = [];
  for (let begin = 0; begin < rows.length; begin += batch) {
    const plain = await plainBatch(cache, rows.slice(begin, begin + batch), size, normalisation);
    if (!plain.rows.length) continue;
    const features = scope(() =>
      unrecorded(() => {
        const images = tensor(plain.values, [plain.rows.length, 3, size, size]);
        return l2Normalize(backbone.features(images));
      }),
    );
    values.set(await features.read(), used.length * dim);
    features.dispose();
    used.push(...plain.rows);
  }
  const features = tensor(values.slice(0, used.length * dim), [used.length, dim]);
  return { features, rows: used };
}

/** At most `most` of `count` rows, evenly spread. */
export function spreadRows(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.floor((i * count) / most));
}
