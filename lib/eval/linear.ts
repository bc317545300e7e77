import type { Values } from '../tensor/index.js';
import { type Accuracy, accuracyOf } from './accuracy.js';
import type { SplitFeatures } from './eval-split.js';
import type { Labelled } from './features.js';
import { classifierLogits, type LabelledRows, logisticRegression } from './logistic-regression.js';

export interface LinearOptions {
  /** Weights of the data against that of the penalty, from which one is chosen. @default powers of ten from 1e-4 to 1 */
  strengths?: readonly number[];
}

export interface LinearReport extends Accuracy {
  /** The chosen weight C of the data. */
  strength: number;
  /** Accuracy by which it was chosen, on a tenth of the training images; percent. */
  heldOut: number;
}

const everyPower = [1e-4, 1e-3, 1e-2, 1e-1, 1];
/** Every tenth image of a class is held out to choose the strength. */
const heldOutEvery = 10;
/** Accuracies do not move any more long before the loss is at its last digits. */
const fit = { iterations: 200, tolerance: 1e-4 };

interface Rows extends LabelledRows {
  x: Float64Array;
  labels: number[];
}

async function rowsOf({ features, labels }: Labelled): Promise<Rows> {
  const values: Values = await features.read();
  return {
    x: Float64Array.from(values as Float32Array),
    dim: features.shape[1]!,
    labels: Array.from(labels),
  };
}

/** Mean and deviation of each of `dim` columns. */
function momentsOf({ x, dim }: Rows): { mean: Float64Array; deviation: Float64Array } {
  const [mean, square] = [new Float64Array(dim), new Float64Array(dim)];
  const share = dim / x.length;
  for (let i = 0; i < x.length; i++) mean[i % dim]! += share * x[i]!;
  for (let i = 0; i < x.length; i++) square[i % dim]! += share * (x[i]! - mean[i % dim]!) ** 2;
  return { mean, deviation: square.map((v) => Math.sqrt(v) || 1) };
}

function standardised(rows: Rows, { mean, deviation }: ReturnType<typeof momentsOf>): Rows {
  const { x, dim } = rows;
  return { ...rows, x: x.map((v, i) => (v - mean[i % dim]!) / deviation[i % dim]!) };
}

function part({ x, dim, labels }: Rows, index: readonly number[]): Rows {
  const chosen = new Float64Array(index.length * dim);
  index.forEach((row, i) => {
    chosen.set(x.subarray(row * dim, (row + 1) * dim), i * dim);
  });
  return { x: chosen, dim, labels: index.map((row) => labels[row]!) };
}

/** Rows to fit on, and of each class every tenth to choose by. */
function heldOut(labels: readonly number[]): { kept: number[]; out: number[] } {
  const seen = new Map<number, number>();
  const parts = { kept: [] as number[], out: [] as number[] };
  labels.forEach((label, row) => {
    const count = (seen.get(label) ?? 0) + 1;
    seen.set(label, count);
    parts[count % heldOutEvery ? 'kept' : 'out'].push(row);
  });
  return parts;
}

/** Best classes of each row, best first, after a fit to other rows. */
async function guesses(train: Rows, test: Rows, strength: number): Promise<number[][]> {
  const classes = 1 + train.labels.reduce((a, b) => Math.max(a, b), 0);
  const logits = classifierLogits(await logisticRegression(train, classes, strength, fit), test);
  return test.labels.map((_, row) => {
    const own = logits.subarray(row * classes, (row + 1) * classes);
    return Array.from(own.keys())
      .sort((a, b) => own[b]! - own[a]!)
      .slice(0, 5);
  });
}

async function chosenStrength(train: Rows, strengths: readonly number[]) {
  const { kept, out } = heldOut(train.labels);
  const best = { strength: strengths[0]!, heldOut: Number.NaN };
  if (!out.length) return best;
  const [learnt, judging] = [part(train, kept), part(train, out)];
  for (const strength of strengths) {
    const found = await guesses(learnt, judging, strength);
    const { top1 } = accuracyOf(found, judging.labels, learnt.labels);
    if (!(top1 <= best.heldOut)) Object.assign(best, { strength, heldOut: top1 });
  }
  return best;
}

/**
 * Linear accuracy of frozen features: multinomial logistic regression, the optimum that a linear probe
 * trains towards, on features standardised by the training images. Its one setting is chosen on a
 * tenth of the training images (as DINOv2's logistic regression), so no test label is used; then it is
 * fitted again to all of them.
 */
export async function linearOf(
  features: SplitFeatures,
  { strengths = everyPower }: LinearOptions = {},
): Promise<LinearReport> {
  const [plainTrain, plainTest] = [await rowsOf(features.train), await rowsOf(features.test)];
  const moments = momentsOf(plainTrain);
  const [train, test] = [standardised(plainTrain, moments), standardised(plainTest, moments)];
  const chosen = await chosenStrength(train, strengths);
  const found = await guesses(train, test, chosen.strength);
  return { ...chosen, ...accuracyOf(found, test.labels, train.labels) };
}
