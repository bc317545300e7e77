import { ProteaError } from '../error.js';
import {
  backward,
  dot,
  linear,
  logSoftmax,
  scope,
  tensor,
  watch,
  weightedSum,
} from '../tensor/index.js';
import { minimise } from './lbfgs.js';

/** Features (n, dim), row by row, with their classes. */
export interface LabelledRows {
  x: ArrayLike<number>;
  dim: number;
  labels: ArrayLike<number>;
}

export interface LinearClassifier {
  /** (classes, dim) */
  weight: Float64Array;
  /** (classes), of mean 0: a common shift changes nothing. */
  bias: Float64Array;
}

function check({ x, dim, labels }: LabelledRows, classes: number): void {
  if (x.length !== labels.length * dim || !labels.length)
    throw new ProteaError(
      'ERR_PROTEA_SHAPE',
      `${x.length} numbers are not ${labels.length} rows of ${dim}`,
    );
  for (let i = 0; i < labels.length; i++)
    if (!(labels[i]! >= 0 && labels[i]! < classes))
      throw new ProteaError(
        'ERR_PROTEA_SHAPE',
        `label ${labels[i]} of row ${i} is not below ${classes}`,
      );
}

function oneHot(labels: ArrayLike<number>, classes: number): Float64Array {
  const rows = new Float64Array(labels.length * classes);
  for (let i = 0; i < labels.length; i++) rows[i * classes + labels[i]!] = 1;
  return rows;
}

export interface FitOptions {
  /** @default 1000 */
  iterations?: number;
  /** Norm of the gradient over the loss at which the fit ends. @default 1e-9 */
  tolerance?: number;
}

const exact = (values: Float64Array, shape: number[]) => tensor(values, shape, 'f64', 'cpu');

/**
 * Multinomial logistic regression: the minimum of 1/2 ||W||² + C Σ_i CE(y_i, softmax(W x_i + b)), the
 * intercept free, in double on the CPU, by L-BFGS.
 * @throws ERR_PROTEA_SHAPE when features and labels do not fit together
 */
export async function logisticRegression(
  data: LabelledRows,
  classes: number,
  C = 1,
  fit: FitOptions = {},
): Promise<LinearClassifier> {
  check(data, classes);
  const { dim } = data;
  const n = data.labels.length;
  const x = exact(Float64Array.from(data.x), [n, dim]);
  const y = exact(oneHot(data.labels, classes), [n, classes]);
  const size = classes * dim;
  try {
    const best = await minimise(
      async (at) => {
        const { loss, dw, db } = scope(() => {
          const w = watch(exact(at.slice(0, size), [classes, dim]));
          const b = watch(exact(at.slice(size), [classes]));
          const agreement = dot(y, logSoftmax(linear(x, w, b)));
          const loss = weightedSum([dot(w, w), agreement], [0.5, -C]);
          const [dw, db] = backward(loss, [w, b]);
          return { loss, dw: dw!, db: db! };
        });
        const [value, slopes, shift] = [await loss.item(), await dw.read(), await db.read()];
        for (const part of [loss, dw, db]) part.dispose();
        const gradient = new Float64Array(size + classes);
        gradient.set(slopes);
        gradient.set(shift, size);
        return { value, gradient };
      },
      new Float64Array(size + classes),
      fit,
    );
    const bias = best.slice(size);
    const mean = bias.reduce((a, b) => a + b, 0) / classes;
    return { weight: best.slice(0, size), bias: bias.map((b) => b - mean) };
  } finally {
    x.dispose();
    y.dispose();
  }
}

/** W x + b of rows x: (n, classes). */
export function classifierLogits(
  { weight, bias }: LinearClassifier,
  { x, dim }: Pick<LabelledRows, 'x' | 'dim'>,
): Float64Array {
  const classes = bias.length;
  const logits = new Float64Array((x.length / dim) * classes);
  for (let i = 0; i < logits.length; i++) {
    const [row, c] = [Math.floor(i / classes), i % classes];
    let value = bias[c]!;
    for (let d = 0; d < dim; d++) value += x[row * dim + d]! * weight[c * dim + d]!;
    logits[i] = value;
  }
  return logits;
}
