import { type Dataset, PictureCache } from '../data/index.js';
import type { VisionTransformer } from '../nn/index.js';
import { pixelFeatures } from './baselines.js';
import { extractFeatures, type FeatureOptions, type Features, spreadRows } from './features.js';
import { type KnnOptions, type KnnReport, knn, type Labelled } from './knn.js';

/** Labelled rows to learn from and to judge by, of one or two data sets. */
export interface KnnSplit {
  train: { cache: PictureCache; dataset: Dataset; rows: number[] };
  test: { cache: PictureCache; dataset: Dataset; rows: number[] };
}

const isLabelled = (dataset: Dataset, row: number) => dataset.samples[row]!.label !== undefined;

/**
 * Two sets, or one of which every fifth row is held out. Undefined when labels are missing or there is
 * only one class.
 */
export function knnSplit(
  train: Dataset,
  test: Dataset | undefined,
  most: number,
  caches?: { train?: PictureCache },
): KnnSplit | undefined {
  const trainCache = caches?.train ?? new PictureCache(train);
  const of = (dataset: Dataset) =>
    spreadRows(dataset.samples.length, most).filter((row) => isLabelled(dataset, row));
  const rows = of(train);
  const split: KnnSplit = test
    ? {
        train: { cache: trainCache, dataset: train, rows },
        test: { cache: new PictureCache(test), dataset: test, rows: of(test) },
      }
    : {
        train: { cache: trainCache, dataset: train, rows: rows.filter((_, i) => i % 5 !== 4) },
        test: { cache: trainCache, dataset: train, rows: rows.filter((_, i) => i % 5 === 4) },
      };
  const classes = new Set(split.train.rows.map((row) => train.samples[row]!.label));
  return classes.size > 1 && split.test.rows.length ? split : undefined;
}

const labelled = ({ features, rows }: Features, dataset: Dataset): Labelled => ({
  features,
  labels: rows.map((row) => dataset.samples[row]!.label!),
});

async function judged(
  train: Features,
  test: Features,
  split: KnnSplit,
  options: KnnOptions,
): Promise<KnnReport> {
  const k = Math.min(options.k ?? 20, train.rows.length);
  try {
    const learnt = labelled(train, split.train.dataset);
    return await knn(learnt, labelled(test, split.test.dataset), { ...options, k });
  } finally {
    train.features.dispose();
    test.features.dispose();
  }
}

/** kNN accuracy of a backbone's CLS features. */
export async function knnOf(
  backbone: VisionTransformer,
  split: KnnSplit,
  features: FeatureOptions,
  options: KnnOptions = {},
): Promise<KnnReport> {
  const of = ({ cache, rows }: { cache: PictureCache; rows: number[] }) =>
    extractFeatures(backbone, cache, rows, features);
  return judged(await of(split.train), await of(split.test), split, options);
}

/** kNN accuracy of raw pixels at `size`, by cosine after the mean is removed. */
export async function knnOfPixels(
  split: KnnSplit,
  size: number,
  options: KnnOptions = {},
): Promise<KnnReport> {
  const { train, test } = await pixelFeatures(split.train, split.test, size);
  return judged(train, test, split, options);
}
