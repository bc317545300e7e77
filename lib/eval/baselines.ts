import { type PictureCache, plainBatch } from '../data/index.js';
import { tensor } from '../tensor/index.js';
import type { Features } from './features.js';

const nothing = { mean: [0, 0, 0], std: [1, 1, 1] } as const;

/** Raw pixels of some rows at `size`, minus `mean`, L2-normalised: what any network must beat. */
async function pixels(cache: PictureCache, rows: readonly number[], size: number) {
  const plain = await plainBatch(cache, rows, size, nothing);
  return { values: plain.values, rows: plain.rows, width: 3 * size * size };
}

function meanOf(values: Float32Array, width: number): Float64Array {
  const mean = new Float64Array(width);
  for (let i = 0; i < values.length; i++) mean[i % width]! += values[i]!;
  return mean.map((sum) => (sum * width) / values.length);
}

function centred(values: Float32Array, width: number, mean: Float64Array): void {
  for (let row = 0; row < values.length; row += width) {
    let square = 0;
    for (let j = 0; j < width; j++) {
      values[row + j]! -= mean[j]!;
      square += values[row + j]! ** 2;
    }
    const inverse = 1 / Math.max(Math.sqrt(square), 1e-12);
    for (let j = 0; j < width; j++) values[row + j]! *= inverse;
  }
}

/** Raw pixels as features: the training mean is removed from both sets, rows are normalised. */
export async function pixelFeatures(
  train: { cache: PictureCache; rows: readonly number[] },
  test: { cache: PictureCache; rows: readonly number[] },
  size: number,
): Promise<{ train: Features; test: Features }> {
  const [a, b] = [
    await pixels(train.cache, train.rows, size),
    await pixels(test.cache, test.rows, size),
  ];
  const mean = meanOf(a.values, a.width);
  const made = [a, b].map(({ values, rows, width }): Features => {
    centred(values, width, mean);
    return { features: tensor(values, [rows.length, width]), rows };
  });
  return { train: made[0]!, test: made[1]! };
}
