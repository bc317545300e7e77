import test from 'ava';
import { backward, call, koleo, tensor, watch, weightNorm, zeros } from '../../lib/tensor/index.js';
import { checkOp, pseudo } from '../support/check-op.js';
import { inner, norm, random, rowsOf } from '../support/numbers.js';

test('l2_normalize, down to below eps', async (t) => {
  await checkOp(t, {
    op: 'l2_normalize',
    inputs: [random([5, 7], 1)],
    attrs: { eps: 1e-12 },
    reference: ([x]) => [rowsOf(x!, 7).flatMap((row) => row.map((v) => v / norm(row)))],
  });
  await checkOp(t, {
    op: 'l2_normalize',
    inputs: [random([2, 3], 2)],
    attrs: { eps: 10 },
    reference: ([x]) => [x!.map((v) => v / 10)],
  });
});

test('weight_norm, with and without a magnitude', async (t) => {
  const magnitude = ([v, g]: number[][]) => [
    rowsOf(v!, 6).flatMap((row, k) => row.map((x) => ((g?.[k] ?? 1) * x) / norm(row))),
  ];
  await checkOp(t, {
    op: 'weight_norm',
    inputs: [random([5, 6], 1), random([5, 1], 2)],
    reference: magnitude,
  });
  await checkOp(t, {
    op: 'weight_norm',
    inputs: [random([5, 6], 1), undefined],
    reference: ([v]) => magnitude([v!]),
  });
});

test('weight_norm keeps a row of zeros, with a gradient of zero', async (t) => {
  const v = watch(tensor([0, 0, 3, 4], [2, 2]));
  const w = weightNorm(v);
  const [gradient] = backward(call('dot', [w, tensor([1, 1, 1, 1], [2, 2])])[0]!, [v]);
  t.deepEqual(Array.from(await w.read()), [0, 0, Math.fround(0.6), Math.fround(0.8)]);
  t.deepEqual(Array.from((await gradient!.read()).slice(0, 2)), [0, 0]);
});

function koleoOf(x: number[], D: number, eps: number, pairwise: number, least: number) {
  const u = rowsOf(x, D).map((row) => row.map((v) => v / Math.max(norm(row), 1e-8)));
  const nearest = u.map((a, i) => {
    const products = u.map((b, j) => (j === i ? -Infinity : inner(a, b)));
    return products.indexOf(Math.max(...products));
  });
  const terms = u.map((a, i) => {
    const d = norm(a.map((v, j) => v - u[nearest[i]!]![j]! + pairwise));
    if (d >= least) return Math.log(d + eps);
    return Math.log(least + eps) + (d * d - least * least) / (2 * least * (least + eps));
  });
  return [[-terms.reduce((a, b) => a + b) / u.length], nearest];
}

for (const [B, D, least] of [
  [2, 3, 0],
  [11, 4, 0],
  [11, 4, 0.6],
  [300, 2, 0],
] as const) {
  test(`koleo of ${B} rows, min_distance ${least}`, async (t) => {
    await checkOp(t, {
      op: 'koleo',
      inputs: [random([B, D], 1)],
      attrs: { eps: 1e-8, norm_eps: 1e-8, pairwise_eps: 1e-8, min_distance: least },
      outputs: [0],
      gradient: B < 100,
      tolerance: 1e-4,
      reference: ([x]) => koleoOf(x!, D, 1e-8, 1e-8, least),
    });
  });
}

test('copies are each other’s neighbours and get a finite, bounded gradient', async (t) => {
  const x = watch(tensor([1, 0, 1, 1e-6, 0, 1], [3, 2]));
  const { loss, nearest } = koleo(x, { minDistance: 1e-3 });
  const [gradient] = backward(loss, [x]);
  t.deepEqual(Array.from(await nearest.read()).slice(0, 2), [1, 0]);
  const values = Array.from(await gradient!.read());
  t.true(values.every((v) => Math.abs(v) < 2));
  t.true(values[1]! > 0 && values[3]! < 0, 'descent moves them apart');
});

test('a NaN row makes the loss NaN', async (t) => {
  t.true(Number.isNaN(await koleo(tensor([1, 0, NaN, 1, 0, 1], [3, 2])).loss.item()));
});

test('of copies the first is the nearest of a third row, in whatever order it is met', async (t) => {
  const D = 24;
  for (let seed = 0; seed < 40; seed++) {
    const copy = pseudo(D, 2 * seed + 1);
    const near = copy.map((v, d) => v + 0.1 * pseudo(D, 2 * seed + 2)[d]!);
    const values = [...copy, ...near, ...copy, ...copy.map((v) => -v)];
    const { nearest } = koleo(tensor(values, [4, D]));
    t.deepEqual([...(await nearest.read())].slice(0, 3), [2, 0, 0], `seed ${seed}`);
  }
});

test('koleo needs two rows', (t) => {
  t.throws(() => koleo(zeros([1, 4])), { code: 'ERR_PROTEA_SHAPE', message: /B >= 2/ });
});

/** The definition: rows in order join the first leader that is near. */
