import { checkInteger, checkNumber, ProteaError } from '../error.js';
import { knnTopK, type Tensor } from '../tensor/index.js';
import { type Accuracy, accuracyOf } from './accuracy.js';
import type { SplitFeatures } from './eval-split.js';
import type { Labelled } from './features.js';

export interface KnnOptions {
  /** Neighbours that vote. @default 20 */
  k?: number;
  /** Votes count exp(similarity / temperature). @default 0.07 */
  temperature?: number;
  /** Number of classes; those without a training image are ranked too, last. @default those of the labels */
  classes?: number;
}

export interface KnnReport extends Accuracy {
  k: number;
}

export interface KnnClasses {
  /** The best classes of each test row, best first. */
  classes: number[][];
  /** How many classes had a vote at each test row. */
  voted: number[];
}

/** Classes of one row by descending score, those without a vote last; ties to the smaller class. */
function ranking(scores: Map<number, number>, classes: readonly number[]): number[] {
  const score = (label: number) => scores.get(label) ?? 0;
  return [...classes].sort((a, b) => score(b) - score(a) || a - b);
}

function rankedClasses(labels: ArrayLike<number>, classes: number | undefined): number[] {
  const found = new Set(Array.from(labels));
  for (let label = 0; label < (classes ?? 0); label++) found.add(label);
  return [...found];
}

/**
 * DINO's weighted kNN (Wu et al. 2018): score_c = Σ exp(<x, x_j> / T) over the k nearest train rows of
 * class c.
 * @throws ERR_PROTEA_SHAPE when k exceeds the train rows; ERR_PROTEA_DATA when labels are missing
 */
export async function knnClasses(
  train: Labelled,
  test: Tensor,
  options: KnnOptions = {},
  best = 5,
): Promise<KnnClasses> {
  const { k = 20, temperature = 0.07 } = options;
  checkInteger('k', k, 1);
  checkNumber('temperature', temperature, Number.MIN_VALUE);
  if (train.labels.length !== train.features.shape[0])
    throw new ProteaError(
      'ERR_PROTEA_DATA',
      `kNN needs a label for each of ${train.features.shape[0]} rows, got ${train.labels.length}`,
    );
  const found = knnTopK(test, train.features, k);
  const [values, indices] = await Promise.all([found.values.read(), found.indices.read()]);
  found.values.dispose();
  found.indices.dispose();
  const labels = rankedClasses(train.labels, options.classes);
  const result: KnnClasses = { classes: [], voted: [] };
  for (let row = 0; row < test.shape[0]!; row++) {
    const scores = new Map<number, number>();
    for (let j = row * k; j < (row + 1) * k; j++) {
      const label = train.labels[indices[j]!]!;
      scores.set(label, (scores.get(label) ?? 0) + Math.exp(values[j]! / temperature));
    }
    result.classes.push(ranking(scores, labels).slice(0, best));
    result.voted.push(scores.size);
  }
  return result;
}

/** Top-1 and top-5 accuracy of kNN on labelled test rows, in percent. */
export async function knn(
  train: Labelled,
  test: Labelled,
  options: KnnOptions = {},
): Promise<KnnReport> {
  const { classes } = await knnClasses(train, test.features, options);
  return { k: options.k ?? 20, ...accuracyOf(classes, test.labels, train.labels) };
}

/** kNN accuracy of features of two parts; k is at most the number of training images. */
export const knnOf = ({ train, test }: SplitFeatures, options: KnnOptions = {}) =>
  knn(train, test, { ...options, k: Math.min(options.k ?? 20, train.labels.length) });
