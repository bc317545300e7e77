import test from 'ava';
import { adamw, emaUpdate, tensor, zeros } from '../../lib/tensor/index.js';

const settings = { lr: 0.1, weightDecay: 0, step: 1, clipGroup: -1 };
const options = { beta1: 0.9, beta2: 0.999, eps: 1e-8, clip: 0, momentum: 0.5 };
const state = (values: number[]) => ({
  param: tensor(values, [values.length]),
  expAvg: zeros([values.length]),
  expAvgSq: zeros([values.length]),
  teacher: zeros([values.length]),
});

test('the first step has the size of the rate, and the teacher follows', async (t) => {
  const p = state([1, 2, 3]);
  adamw([{ ...p, ...settings, grad: tensor([5, -1, 0.01], [3]) }], options);
  const values = await p.param.read();
  [0.9, 2.1, 2.9].forEach((v, i) => {
    t.true(Math.abs(values[i]! - v) < 1e-5);
  });
  const teacher = await p.teacher.read();
  t.true(Math.abs(teacher[1]! - 1.05) < 1e-5);
});

test('a parameter without gradient stays; its teacher still follows', async (t) => {
  const p = state([1, 2]);
  adamw([{ ...p, ...settings, weightDecay: 0.5 }], options);
  t.deepEqual(Array.from(await p.param.read()), [1, 2]);
  t.deepEqual(Array.from(await p.teacher.read()), [0.5, 1]);
});

test('a gradient or guard that is not finite changes nothing', async (t) => {
  const [a, b] = [state([1, 2]), state([3])];
  const nan = { ...a, ...settings, grad: tensor([NaN, 1], [2]) };
  const good = { ...b, ...settings, grad: tensor([1], [1]) };
  const norms = await adamw([nan, good], options).read();
  t.true(Number.isNaN(norms[0]));
  adamw([good], { ...options, guard: tensor([Infinity], []) });
  for (const [x, values] of [
    [a, [1, 2]],
    [b, [3]],
  ] as const) {
    t.deepEqual(Array.from(await x.param.read()), values);
    t.deepEqual(
      Array.from(await x.teacher.read()),
      values.map(() => 0),
    );
    t.deepEqual(
      Array.from(await x.expAvg.read()),
      values.map(() => 0),
    );
  }
});

test('clipping scales the gradients of a group together', async (t) => {
  const [a, b] = [state([0]), state([0])];
  const of = (p: typeof a, g: number) => ({
    ...p,
    ...settings,
    clipGroup: 0,
    grad: tensor([g], [1]),
  });
  const norms = await adamw([of(a, 3), of(b, 4)], { ...options, clip: 1 }).read();
  t.deepEqual(Array.from(norms), [3, 4]);
  t.true(Math.abs((await a.expAvg.item()) - 0.1 * 0.6) < 1e-6);
  t.true(Math.abs((await b.expAvg.item()) - 0.1 * 0.8) < 1e-6);
});

test('adamw names the input that does not fit', (t) => {
  const p = state([1, 2]);
  t.throws(() => adamw([{ ...p, ...settings, grad: zeros([3]) }], options), {
    code: 'ERR_PROTEA_SHAPE',
    message: /input 1 of parameter 0/,
  });
});

test('ema_update mixes in place and keeps the target when the guard is not finite', async (t) => {
  const target = tensor([1, 2], [2]);
  emaUpdate(target, tensor([3, 4], [2]), 0.5);
  t.deepEqual(Array.from(await target.read()), [2, 3]);
  t.is(await emaUpdate(target, zeros([2]), 0.5, tensor([NaN], [])).item(), 0);
  t.deepEqual(Array.from(await target.read()), [2, 3]);
});
