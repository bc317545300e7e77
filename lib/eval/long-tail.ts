import { ProteaError } from '../error.js';

/** Which part of a long-tailed training set a class belongs to, by its number of training images. */
export type Split = 'head' | 'medium' | 'tail';

export interface LongTailOptions {
  /** More training images than this: head. @default 100 */
  headAbove?: number;
  /** Fewer than this: tail. @default 20 */
  tailBelow?: number;
  /** The part of each class, instead of the two numbers above. */
  splits?: readonly Split[];
}

/** Largest over smallest class from which a list counts as long-tailed; the usual lists have 10 to 500. */
const longTailedFrom = 10;

/** Whether the largest class has many times the images of the smallest that has any. */
export function isLongTailed(trainCounts: readonly number[]): boolean {
  const present = trainCounts.filter((count) => count > 0);
  return Math.max(...present) >= longTailedFrom * Math.min(...present);
}

/**
 * Head: the first third of the classes by training images, largest first, ties by number; tail: the
 * last third; medium: between, with what does not divide by three.
 */
export function thirds(trainCounts: readonly number[]): Split[] {
  const size = Math.floor(trainCounts.length / 3);
  const order = trainCounts.map((_, c) => c).sort((a, b) => trainCounts[b]! - trainCounts[a]!);
  const splits = Array<Split>(trainCounts.length).fill('medium');
  for (const c of order.slice(0, size)) splits[c] = 'head';
  for (const c of order.slice(order.length - size)) splits[c] = 'tail';
  return splits;
}

export interface LongTailAccuracy {
  /** Of all test images, in percent. */
  micro: number;
  /** Mean over classes, and over the classes of a split; null where none has a test image. Percent. */
  macro: number | null;
  head: number | null;
  medium: number | null;
  tail: number | null;
  /** Of each class, in percent; null where it has no test image. */
  classAccuracy: (number | null)[];
  splits: Split[];
}

/**
 * Head, medium and tail accuracies of predictions on a test set (Liu et al. 2019, OpenLongTailRecognition).
 * @throws ERR_PROTEA_SHAPE when predictions and labels differ in length, or a label has no count
 */
export function longTailAccuracy(
  predicted: ArrayLike<number>,
  labels: ArrayLike<number>,
  trainCounts: ArrayLike<number>,
  { headAbove = 100, tailBelow = 20, splits: given }: LongTailOptions = {},
): LongTailAccuracy {
  if (predicted.length !== labels.length)
    throw new ProteaError(
      'ERR_PROTEA_SHAPE',
      `${predicted.length} predictions, ${labels.length} labels`,
    );
  const classes = trainCounts.length;
  const [tested, right] = [new Float64Array(classes), new Float64Array(classes)];
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (!(label in tested))
      throw new ProteaError(
        'ERR_PROTEA_SHAPE',
        `label ${label} of image ${i} is not among ${classes} classes`,
      );
    tested[label]! += 1;
    right[label]! += Number(predicted[i] === label);
  }
  const classAccuracy = Array.from(tested, (n, c) => (n ? (100 * right[c]!) / n : null));
  const splits =
    given ??
    Array.from(
      trainCounts,
      (n): Split => (n > headAbove ? 'head' : n < tailBelow ? 'tail' : 'medium'),
    );
  const of = (split?: Split) =>
    mean(classAccuracy.filter((_, c) => split === undefined || splits[c] === split));
  const micro = (100 * right.reduce((a, b) => a + b, 0)) / labels.length;
  return {
    micro,
    macro: of(),
    head: of('head'),
    medium: of('medium'),
    tail: of('tail'),
    classAccuracy,
    splits: [...splits],
  };
}

function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
}
