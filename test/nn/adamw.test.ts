import test from 'ava';
import { AdamW, type ParameterPolicy, type Parameters } from '../../lib/nn/index.js';
import { tensor } from '../../lib/tensor/index.js';

const parameters = (): Parameters =>
  new Map(['backbone.a', 'backbone.b', 'head.c'].map((name) => [name, tensor([1, 1], [2, 1])]));
const gradients = new Map([
  ['backbone.a', tensor([3, 0], [2, 1])],
  ['backbone.b', tensor([0, 4], [2, 1])],
  ['head.c', tensor([6, 8], [2, 1])],
]);
const settings = { lr: 0, weightDecay: 0, clip: 1, momentum: 1 };

/** The first moment after one step: a tenth of the clipped gradient. */
async function clipped(options: ConstructorParameters<typeof AdamW>[2]) {
  const optimiser = new AdamW(parameters(), new Map(), options);
  optimiser.step(gradients, settings);
  const state = optimiser.state();
  const read = async (name: string) =>
    Array.from(await state.get(`exp_avg.${name}`)!.read(), (v) => Number((10 * v).toFixed(3)));
  return [await read('backbone.a'), await read('backbone.b'), await read('head.c')];
}

test('norms are shared by a parameter, a module, or all', async (t) => {
  t.deepEqual(await clipped({ clipMode: 'per_parameter' }), [
    [1, 0],
    [0, 1],
    [0.6, 0.8],
  ]);
  t.deepEqual(await clipped({ clipMode: 'per_module' }), [
    [0.6, 0],
    [0, 0.8],
    [0.6, 0.8],
  ]);
  const all = Math.hypot(3, 4, 6, 8);
  const of = (v: number) => Number((v / all).toFixed(3));
  t.deepEqual(await clipped({ clipMode: 'global' }), [
    [of(3), 0],
    [0, of(4)],
    [of(6), of(8)],
  ]);
});

test('a policy sets rate, decay and clipping of one parameter', async (t) => {
  const own: Record<string, ParameterPolicy> = {
    'backbone.a': { lr: 0.5, weightDecay: 1, clipped: true },
    'backbone.b': { lr: 1, weightDecay: 0, clipped: true },
    'head.c': { lr: 1, weightDecay: 0, clipped: false },
  };
  const policy = (name: string) => own[name]!;
  t.deepEqual(await clipped({ clipMode: 'global', policy }), [
    [0.6, 0],
    [0, 0.8],
    [6, 8],
  ]);
  const of = parameters();
  new AdamW(of, new Map(), { policy }).step(new Map(), { ...settings, lr: 0.1 });
  t.deepEqual(Array.from(await of.get('backbone.a')!.read()), [1, 1], 'no gradient, no decay');
  new AdamW(of, new Map(), { policy }).step(gradients, { ...settings, lr: 0.1, weightDecay: 1 });
  const [a] = await of.get('backbone.a')!.read();
  t.true(Math.abs(a! - (0.95 - 0.05)) < 1e-5, 'half the rate, with decay');
  const [, b] = await of.get('backbone.b')!.read();
  t.true(Math.abs(b! - 0.9) < 1e-5, 'the whole rate, without');
});

test('a resting parameter stays, without decay, while its moments go on', async (t) => {
  const of = parameters();
  const optimiser = new AdamW(of, new Map());
  const resting = (name: string) => name === 'head.c';
  optimiser.step(gradients, { ...settings, lr: 0.1, weightDecay: 0.5, resting });
  t.deepEqual(Array.from(await of.get('head.c')!.read()), [1, 1]);
  t.is(optimiser.steps['head.c'], 1);
  t.true((await optimiser.state().get('exp_avg.head.c')!.read()).every((v) => v !== 0));
});
