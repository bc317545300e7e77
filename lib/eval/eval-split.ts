import { type CacheOptions, type Dataset, PictureCache, spreadRows } from '../data/index.js';
import { ProteaError } from '../error.js';
import type { VisionTransformer } from '../nn/index.js';
import { pixelFeatures } from './baselines.js';
import { numberedAs } from './class-names.js';
import { extractFeatures, type FeatureOptions, type Features, type Labelled } from './features.js';

/** Labelled rows to learn from and to judge by, of one or two data sets. */
export interface EvalSplit {
  train: { cache: PictureCache; dataset: Dataset; rows: number[] };
  test: { cache: PictureCache; dataset: Dataset; rows: number[] };
}

/** How the pictures of both parts are loaded. */
export interface SplitOptions extends CacheOptions {
  /** Those of the training set, where they are loaded elsewhere too. */
  train?: PictureCache;
}

const isLabelled = (dataset: Dataset, row: number) => dataset.samples[row]!.label !== undefined;

/**
 * Two sets, or one of which every fifth row is held out. Classes of two sets are the same where their
 * names are; their numbers where one set has no names. Undefined when labels are missing or there is
 * only one class.
 * @throws ERR_PROTEA_DATA naming a class of the test set that the training set does not have
 */
export function evalSplit(
  train: Dataset,
  test: Dataset | undefined,
  most: number,
  { train: loaded, ...options }: SplitOptions = {},
): EvalSplit | undefined {
  const trainCache = loaded ?? new PictureCache(train, options);
  const of = (dataset: Dataset) =>
    spreadRows(dataset.samples.length, most).filter((row) => isLabelled(dataset, row));
  const rows = of(train);
  const other = test && numberedAs(train, test);
  const split: EvalSplit = other
    ? {
        train: { cache: trainCache, dataset: train, rows },
        test: { cache: new PictureCache(other, options), dataset: other, rows: of(other) },
      }
    : {
        train: { cache: trainCache, dataset: train, rows: rows.filter((_, i) => i % 5 !== 4) },
        test: { cache: trainCache, dataset: train, rows: rows.filter((_, i) => i % 5 === 4) },
      };
  const classes = new Set(split.train.rows.map((row) => train.samples[row]!.label));
  return classes.size > 1 && split.test.rows.length ? split : undefined;
}

/** Features of both parts: made once, whatever they are judged by. */
export interface SplitFeatures {
  train: Labelled;
  test: Labelled;
}

function labelled({ features, rows }: Features, { name, samples }: Dataset): Labelled {
  if (!rows.length) throw new ProteaError('ERR_PROTEA_DATA', `${name}: no image can be read`);
  return { features, labels: rows.map((row) => samples[row]!.label!) };
}

const both = (train: Features, test: Features, split: EvalSplit): SplitFeatures => ({
  train: labelled(train, split.train.dataset),
  test: labelled(test, split.test.dataset),
});

/** What a backbone makes of both parts. @throws ERR_PROTEA_DATA when no image of one can be read */
export async function networkFeatures(
  backbone: VisionTransformer,
  split: EvalSplit,
  options: FeatureOptions,
): Promise<SplitFeatures> {
  const of = ({ cache, rows }: { cache: PictureCache; rows: number[] }) =>
    extractFeatures(backbone, cache, rows, options);
  return both(await of(split.train), await of(split.test), split);
}

/** Raw pixels of both parts at `size`, by direction from the mean picture. */
export async function rawFeatures(split: EvalSplit, size: number): Promise<SplitFeatures> {
  const { train, test } = await pixelFeatures(split.train, split.test, size);
  return both(train, test, split);
}

/** Judges features and gives their memory back. */
export async function judged<Report>(
  features: SplitFeatures,
  judge: (features: SplitFeatures) => Promise<Report>,
): Promise<Report> {
  try {
    return await judge(features);
  } finally {
    features.train.features.dispose();
    features.test.features.dispose();
  }
}
