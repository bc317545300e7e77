import test from 'ava';
import { backward, call, dot, log, tensor, watch, zeros } from '../../lib/tensor/index.js';
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

test('add_noise is normal, keyed, and passes its gradient on', async (t) => {
  const attrs = { scale: 0.5, seed: 3, epoch: 1, sample: 2, purpose: 7 };
  await checkOp(t, { op: 'add_noise', inputs: [a], attrs });
  const n = 1e5;
  const draw = async (key: object) =>
    Array.from(await call('add_noise', [zeros([n])], { ...attrs, scale: 1, ...key })[0]!.read());
  const [x, again, other] = [await draw({}), await draw({}), await draw({ sample: 3 })];
  t.deepEqual(x, again);
  t.notDeepEqual(x, other);
  const mean = x.reduce((s, v) => s + v, 0) / n;
  const square = x.reduce((s, v) => s + v * v, 0) / n;
  const fourth = x.reduce((s, v) => s + v ** 4, 0) / n;
  t.true(Math.abs(mean) < 0.02 && Math.abs(square - 1) < 0.03 && Math.abs(fourth - 3) < 0.2);
});

test('log, and x log x at 0', async (t) => {
  await checkOp(t, {
    op: 'log',
    inputs: [{ shape: [5], values: [0.01, 0.3, 1, 2, 50] }],
    reference: ([x]) => [x!.map(Math.log)],
    tolerance: 1e-5,
  });
  const p = watch(tensor([0, 1], [2]));
  const [gradient] = backward(dot(p, log(p)), [p]);
  t.true(Array.from(await gradient!.read()).every(Number.isFinite));
  t.throws(() => log(tensor(Int32Array.of(1), [1])), { message: /f32 or f64/ });
});
