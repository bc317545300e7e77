import test from 'ava';
import { checkOp, pseudo } from '../support/check-op.js';

const a = { shape: [3, 4], values: pseudo(12, 1) };
const b = { shape: [3, 4], values: pseudo(12, 2) };

test('identity copies', async (t) => {
  await checkOp(t, { op: 'identity', inputs: [a], reference: ([x]) => [x!] });
});

test('weighted_sum adds with weights', async (t) => {
  await checkOp(t, {
    op: 'weighted_sum',
    inputs: [a, b],
    attrs: { weights: [2, -0.5] },
    reference: ([x, y]) => [x!.map((v, i) => 2 * v - 0.5 * y![i]!)],
  });
});

test('dot sums the products', async (t) => {
  await checkOp(t, {
    op: 'dot',
    inputs: [a, b],
    reference: ([x, y]) => [[x!.reduce((s, v, i) => s + v * y![i]!, 0)]],
  });
});
