import type { Picture } from './steps.js';

/** One picture of a data set, not yet loaded. */
export interface Sample {
  /** Path or number, as label lists name it. */
  key: string;
  /** Class number; undefined when the data has no labels. */
  label: number | undefined;
  load(): Promise<Picture>;
}

/** Something to train on or to judge with. Its order never changes. */
export interface Dataset {
  name: string;
  samples: readonly Sample[];
  /** Class names by number, where the data has names. */
  classes: readonly string[];
  /** What was left out on opening, one line each. */
  warnings: readonly string[];
}

/** Class numbers for class names, in the order of the names. */
export function numbered(names: Iterable<string>): { classes: string[]; of: Map<string, number> } {
  const classes = [...new Set(names)].sort();
  return { classes, of: new Map(classes.map((name, i) => [name, i])) };
}

const largestLabel = 2 ** 31 - 1; // labels are stored as Int32

/** The class number that a text is; undefined for anything else, an empty text too. */
export function classNumber(text: string): number | undefined {
  const digits = text.trim();
  return /^\d+$/.test(digits) && Number(digits) <= largestLabel ? Number(digits) : undefined;
}

/** The labels of a data set. Undefined unless every sample has one. */
export function labelsOf(dataset: Dataset): Int32Array | undefined {
  const labels = dataset.samples.map((sample) => sample.label);
  return labels.every((label) => label !== undefined) ? Int32Array.from(labels) : undefined;
}

/** At most `most` of `count` rows, evenly spread. */
export function spreadRows(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.floor((i * count) / most));
}
