import test from 'ava';
import { largestAssignment } from '../../lib/eval/assignment.js';
import {
  clusterMetrics,
  kMeans,
  logisticRegression,
  longTailAccuracy,
} from '../../lib/eval/index.js';
import { pseudo } from '../support/check-op.js';

const code = 'ERR_PROTEA_SHAPE';

function permutations(n: number): number[][] {
  if (n === 0) return [[]];
  return permutations(n - 1).flatMap((rest) =>
    Array.from({ length: n }, (_, i) => [...rest.slice(0, i), n - 1, ...rest.slice(i)]),
  );
}

test('the matching has the largest sum of all, square or not', (t) => {
  for (const [rows, columns] of [
    [5, 5],
    [3, 5],
    [5, 3],
  ] as const) {
    const gain = Array.from({ length: rows }, (_, r) => pseudo(columns, r + rows));
    const sum = (match: readonly number[]) =>
      match.reduce((s, column, row) => s + (gain[row]?.[column] ?? 0), 0);
    const best = Math.max(...permutations(5).map(sum));
    const found = largestAssignment(gain);
    t.true(Math.abs(sum(found) - best) < 1e-12, `${rows} x ${columns}`);
    t.is(new Set(found).size, rows);
  }
});

test('cluster numbers are names: any renaming agrees as well', (t) => {
  const labels = [0, 0, 1, 1, 2, 2];
  const found = clusterMetrics(labels, [7, 7, -1, -1, 3, 3]);
  for (const value of [found.nmi, found.ari, found.ami, found.hungarianAccuracy, found.purity])
    t.true(Math.abs(value - 1) < 1e-12);
  t.is(clusterMetrics([1, 1], [4, 4]).nmi, 1);
  t.throws(() => clusterMetrics([1], [1, 2]), { code });
  t.throws(() => clusterMetrics([], []), { code });
});

test('a class without test images is left out of every mean', (t) => {
  const found = longTailAccuracy([0, 1, 1], [0, 0, 1], [101, 20, 19]);
  t.deepEqual(found.splits, ['head', 'medium', 'tail']);
  t.deepEqual(found.classAccuracy, [50, 100, null]);
  t.is(found.tail, null);
  t.is(found.macro, 75);
  t.throws(() => longTailAccuracy([0], [3], [1, 1]), { code });
  t.throws(() => longTailAccuracy([0, 1], [0], [1, 1]), { code });
});

test('a centre without points stays where it is', (t) => {
  const { centers, labels, inertia } = kMeans([0, 2, 10, 12], [1, 11, 500], 1);
  t.deepEqual([...centers], [1, 11, 500]);
  t.deepEqual([...labels], [0, 0, 1, 1]);
  t.is(inertia, 4);
  t.throws(() => kMeans([1, 2, 3], [1, 2], 2), { code });
});

test('logistic regression stands still at its minimum', async (t) => {
  const [n, dim, classes] = [40, 3, 3];
  const x = pseudo(n * dim, 5);
  const labels = Array.from({ length: n }, (_, i) => i % classes);
  const { weight, bias } = await logisticRegression({ x, dim, labels }, classes, 2);
  const slope = new Float64Array(weight);
  for (let i = 0; i < n; i++) {
    const row = x.slice(i * dim, (i + 1) * dim);
    const logits = [0, 1, 2].map((c) =>
      row.reduce((s, v, d) => s + v * weight[c * dim + d]!, bias[c]!),
    );
    const sum = logits.reduce((s, l) => s + Math.exp(l), 0);
    for (let j = 0; j < slope.length; j++) {
      const c = Math.floor(j / dim);
      const p = Math.exp(logits[c]!) / sum;
      slope[j]! += 2 * (p - Number(labels[i] === c)) * row[j % dim]!;
    }
  }
  t.true(slope.every((v) => Math.abs(v) < 1e-6));
  await t.throwsAsync(logisticRegression({ x, dim, labels: [9] }, classes), { code });
  const bad = logisticRegression({ x: x.slice(0, dim), dim, labels: [9] }, classes);
  await t.throwsAsync(bad, { code, message: /label 9/ });
});
