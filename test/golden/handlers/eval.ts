import {
  classifierLogits,
  clusterMetrics as clusterMetricsOf,
  kMeans,
  LinearProbe,
  logisticRegression,
  longTailAccuracy,
} from '../../../lib/eval/index.js';
import type { GoldenCase, Handler } from '../case.js';
import { rowsOfStep } from '../logits.js';

const values = (c: GoldenCase, name: string) => Array.from(c.input(name).values, Number);

/** The largest of each row of K numbers. */
function largest(logits: ArrayLike<number>, K: number): number[] {
  return Array.from({ length: logits.length / K }, (_, row) => {
    let best = 0;
    for (let k = 1; k < K; k++) if (logits[row * K + k]! > logits[row * K + best]!) best = k;
    return best;
  });
}

export const logreg: Handler = async (c) => {
  const { D: dim, classes, C } = c.params;
  const labels = values(c, 'in.label');
  const x = values(c, 'in.x');
  const found = await logisticRegression({ x, dim, labels }, classes, C);
  const test = classifierLogits(found, { x: values(c, 'in.test'), dim });
  const predicted = largest(test, classes);
  const right = predicted.filter((label, i) => label === c.input('in.test_label').values[i]);
  const train = classifierLogits(found, { x, dim });
  const penalty = found.weight.reduce((s, w) => s + w * w, 0) / 2;
  const misfit = labels.map((label, i) => {
    const row = train.slice(i * classes, (i + 1) * classes);
    return Math.log(row.reduce((s, l) => s + Math.exp(l), 0)) - row[label]!;
  });
  return {
    tensors: {
      'out.weight': found.weight,
      'out.bias': found.bias,
      'out.test_logits': test,
      'out.test_pred': predicted,
    },
    expected: {
      objective: penalty + C * misfit.reduce((a, b) => a + b, 0),
      test_accuracy: (100 * right.length) / predicted.length,
    },
  };
};

export const linearProbe: Handler = async (c) => {
  const { lr, momentum, weight_decay: weightDecay } = c.params;
  const probe = new LinearProbe(
    Float32Array.from(c.input('in.weight').values),
    Float32Array.from(c.input('in.bias').values),
  );
  const labels = values(c, 'in.label');
  const n = labels.length / lr.length;
  const [weights, biases, losses]: number[][] = [[], [], []];
  for (let step = 0; step < lr.length; step++) {
    const x = rowsOfStep(c, 'in.x', step);
    const options = { lr: lr[step], momentum, weightDecay };
    losses!.push(await probe.step(x, labels.slice(step * n, (step + 1) * n), options));
    weights!.push(...probe.weight);
    biases!.push(...probe.bias);
  }
  return { tensors: { 'out.loss': losses!, 'out.weight': weights!, 'out.bias': biases! } };
};

export const clusterMetrics: Handler = async (c) => {
  const found = clusterMetricsOf(values(c, 'in.label'), values(c, 'in.cluster'));
  return {
    expected: {
      nmi: found.nmi,
      nmi_geometric: found.nmiGeometric,
      ari: found.ari,
      ami: found.ami,
      hungarian_accuracy: found.hungarianAccuracy,
      purity: found.purity,
      mutual_information_nats: found.mutualInformation,
    },
  };
};

export const kmeans: Handler = async (c) => {
  const { D: dim, iterations } = c.params;
  const centers: number[] = [];
  let at = kMeans(values(c, 'in.x'), values(c, 'in.init'), dim, 0);
  for (let i = 0; i < iterations; i++) {
    at = kMeans(values(c, 'in.x'), at.centers, dim, 1);
    centers.push(...at.centers);
  }
  return {
    tensors: { 'out.centers': centers, 'out.label': at.labels },
    expected: { inertia: at.inertia },
  };
};

export const longTail: Handler = async (c) => {
  const { classes, head_if_count_above: headAbove, tail_if_count_below: tailBelow } = c.params;
  const predicted = largest(values(c, 'in.logits'), classes);
  const options = { headAbove, tailBelow };
  const found = longTailAccuracy(
    predicted,
    values(c, 'in.label'),
    values(c, 'in.train_count'),
    options,
  );
  const order = ['head', 'medium', 'tail'];
  const { micro, macro, head, medium, tail } = found;
  return {
    tensors: {
      'out.class_accuracy': found.classAccuracy.map((a) => a ?? -1),
      'out.split': found.splits.map((split) => order.indexOf(split)),
    },
    expected: { micro, macro, head, medium, tail },
  };
};
