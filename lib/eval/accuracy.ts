import { isLongTailed, longTailAccuracy, thirds } from './long-tail.js';

/** Means over the classes of each third, by their number of training images; percent. */
export interface GroupAccuracy {
  /** Mean over all classes that have test images. */
  macro: number | null;
  head: number | null;
  medium: number | null;
  tail: number | null;
}

/** How often the right class is the first guess, or among the first five; percent of test images. */
export interface Accuracy {
  top1: number;
  top5: number;
  /** Where the training list is long-tailed; null elsewhere. */
  groups: GroupAccuracy | null;
}

function countsOf(labels: ArrayLike<number>, classes: number): number[] {
  const counts = Array<number>(classes).fill(0);
  for (let i = 0; i < labels.length; i++) counts[labels[i]!]! += 1;
  return counts;
}

const largest = (labels: ArrayLike<number>) =>
  Array.from(labels).reduce((a, b) => Math.max(a, b), 0);

/** Accuracy of each test image's classes, best guess first. */
export function accuracyOf(
  guesses: readonly (readonly number[])[],
  labels: ArrayLike<number>,
  trainLabels: ArrayLike<number>,
): Accuracy {
  const hits = (count: number) =>
    guesses.filter((row, i) => row.slice(0, count).includes(labels[i]!)).length;
  const percent = (count: number) => (100 * hits(count)) / Math.max(1, guesses.length);
  const counts = countsOf(trainLabels, 1 + Math.max(largest(labels), largest(trainLabels)));
  return { top1: percent(1), top5: percent(5), groups: groupsOf(guesses, labels, counts) };
}

function groupsOf(
  guesses: readonly (readonly number[])[],
  labels: ArrayLike<number>,
  counts: readonly number[],
): GroupAccuracy | null {
  if (!isLongTailed(counts)) return null;
  const first = guesses.map((row) => row[0] ?? -1);
  const splits = thirds(counts);
  const { macro, head, medium, tail } = longTailAccuracy(first, labels, counts, { splits });
  return { macro, head, medium, tail };
}
