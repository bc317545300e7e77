import test from 'ava';
import {
  gmmResponsibilities,
  gmmUpdate,
  logEmaUpdate,
  tensor,
  zeros,
} from '../../lib/tensor/index.js';

const settings = { eta: 0.1, varianceFloor: 1e-4, byResponsibility: true };

const mixture = () => ({
  pi: tensor([0.5, 0.5], [2]),
  mu: tensor([-1, 0, 1, 0], [2, 2]),
  variance: tensor([1, 1, 1, 1], [2, 2]),
  s0: tensor([0.5, 0.5], [2]),
  s1: tensor([-0.5, 0, 0.5, 0], [2, 2]),
  s2: tensor([1, 0.5, 1, 0.5], [2, 2]),
});

test('gmm_responsibilities are the posterior, flatter when annealed', async (t) => {
  const x = tensor([-1, 0, 0, 5, 1, 0], [3, 2]);
  const { gamma } = gmmResponsibilities(x, mixture());
  const odds = Math.exp(-2);
  const near = Array.from(await gamma.read());
  [1 / (1 + odds), odds / (1 + odds), 0.5, 0.5].forEach((expected, i) => {
    t.true(Math.abs(near[i]! - expected) < 1e-6);
  });
  const flat = await gmmResponsibilities(x, mixture(), 0.1).gamma.read();
  t.true(Number(flat[0]) < near[0]!);
});

test('gmm_update leaves an idle component alone when it forgets by responsibility', async (t) => {
  const state = mixture();
  const x = tensor([3, 3], [1, 2]);
  gmmUpdate(state, x, tensor([1, 0], [1, 2]), settings);
  const mu = Array.from(await state.mu.read());
  t.deepEqual(mu.slice(2), [1, 0]);
  t.true(mu[0]! > -1 && mu[1]! > 0);
  t.is(
    Array.from(await state.pi.read(), Number).reduce((a, b) => a + b, 0),
    1,
  );
});

test('gmm_update keeps variances above the floor and changes nothing under a bad guard', async (t) => {
  const state = mixture();
  const x = tensor([0, 0], [1, 2]);
  gmmUpdate(state, x, tensor([1, 0], [1, 2]), settings, tensor([Number.NaN], []));
  t.deepEqual(Array.from(await state.mu.read()), [-1, 0, 1, 0]);
  for (let i = 0; i < 200; i++)
    gmmUpdate(state, x, tensor([1, 0], [1, 2]), { ...settings, varianceFloor: 0.25 });
  t.true((await state.variance.read()).every((v) => Number(v) >= 0.25));
});

test('gmm ops name what does not fit', (t) => {
  const x = zeros([3, 2]);
  const code = 'ERR_PROTEA_SHAPE';
  t.throws(() => gmmResponsibilities(zeros([3, 3]), mixture()), { code });
  t.throws(() => gmmResponsibilities(x, mixture(), 0), { message: /beta/ });
  t.throws(() => gmmUpdate(mixture(), x, zeros([2, 2]), settings), { code });
  t.throws(() => gmmUpdate(mixture(), x, zeros([3, 2]), { ...settings, eta: 1.5 }), {
    message: /eta/,
  });
});

test('log_ema_update mixes probabilities, or their logarithms, in place', async (t) => {
  const logs = (...p: number[]) => tensor(Float64Array.from(p, Math.log), [p.length]);
  const center = logs(0.5, 0.5);
  logEmaUpdate(center, logs(0.1, 0.9), { momentum: 0.75 });
  const mixed = Array.from(await center.read(), (v) => Math.exp(Number(v)));
  t.true(Math.abs(mixed[0]! - 0.4) < 1e-12 && Math.abs(mixed[1]! - 0.6) < 1e-12);
  const other = logs(0.5, 0.5);
  logEmaUpdate(other, logs(0.1, 0.9), { momentum: 0.5, ofLogs: true });
  t.true(Math.abs(Math.exp(Number((await other.read())[0])) - Math.sqrt(0.05)) < 1e-12);
  const kept = logs(0.5, 0.5);
  logEmaUpdate(kept, logs(0.1, 0.9), { momentum: 0.5 }, tensor(Float64Array.of(Number.NaN), []));
  t.is(Number((await kept.read())[0]), Math.log(0.5));
  t.throws(() => logEmaUpdate(kept, logs(1, 1), { momentum: 0.5 }, zeros([])), {
    message: /guard/,
  });
  t.throws(() => logEmaUpdate(kept, zeros([3]), { momentum: 0.5 }), { code: 'ERR_PROTEA_SHAPE' });
});
