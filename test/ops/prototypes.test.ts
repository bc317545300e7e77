import test from 'ava';
import {
  backward,
  call,
  knnTopK,
  nearestPrototypes,
  prototypeLogMarginal,
  prototypeSinkhorn,
  type Tensor,
  tensor,
  uniquePrototypes,
  vmfLogNormalizer,
  watch,
  zeros,
} from '../../lib/tensor/index.js';
import { checkOp, pseudo } from '../support/check-op.js';
import { inner, norm, random, rowsOf, softmaxOf } from '../support/numbers.js';

function greedyLeaders(w: number[], P: number, epsilon: number): number[] {
  const u = rowsOf(w, P).map((row) => row.map((v) => v / Math.max(norm(row), 1e-12)));
  const leaders: number[] = [];
  return u.map((a, i) => {
    const found = leaders.find((l) => 1 - inner(a, u[l]!) < epsilon);
    if (found === undefined) leaders.push(i);
    return found ?? i;
  });
}

test('unique prototypes follow the greedy rule in index order, over many tiles', async (t) => {
  const [K, P] = [1500, 3];
  const values = pseudo(K * P, 1);
  const found = Array.from(
    await uniquePrototypes(tensor(values, [K, P], 'f64'), [0.01, 0.001]).read(),
  );
  t.deepEqual(found.slice(0, K), greedyLeaders(values, P, 0.01));
  t.deepEqual(found.slice(K), greedyLeaders(values, P, 0.001));
});

test('components join chains that the greedy rule cuts', async (t) => {
  const angles = [0, 0.2, 0.4, 0.6, 2, 2.2];
  const w = tensor(
    angles.flatMap((a) => [Math.cos(a), Math.sin(a)]),
    [6, 2],
  );
  const epsilon = 1 - Math.cos(0.21);
  t.deepEqual(Array.from(await uniquePrototypes(w, [epsilon]).read()), [0, 0, 2, 2, 4, 4]);
  t.deepEqual(
    Array.from(await uniquePrototypes(w, [epsilon], 'components').read()),
    [0, 0, 0, 0, 4, 4],
  );
});

test('a distance of exactly epsilon is not near', async (t) => {
  const w = tensor([1, 0, 0, 1], [2, 2]);
  t.deepEqual(Array.from(await uniquePrototypes(w, [1]).read()), [0, 1]);
});

test('knn_top_k orders by value, then by index', async (t) => {
  const train = tensor([1, 0, 0, 1, 1, 0, 0.5, 0], [4, 2]);
  const { values, indices } = knnTopK(tensor([2, 0], [1, 2]), train, 3);
  t.deepEqual(Array.from(await indices.read()), [0, 2, 3]);
  t.deepEqual(Array.from(await values.read()), [2, 2, 1]);
  t.throws(() => knnTopK(zeros([1, 2]), train, 5), { code: 'ERR_PROTEA_SHAPE', message: /k must/ });
});

test('prototype_marginal gives logarithms where probabilities vanish', async (t) => {
  const z = tensor([100, 0, 0, 100], [2, 2]);
  const prototypes = tensor([10, 0, 0, 10, -10, -10], [3, 2]);
  const logs = await prototypeLogMarginal({ z, prototypes, temperature: 1 }).read();
  t.deepEqual(Array.from(logs), [Math.fround(-Math.log(2)), Math.fround(-Math.log(2)), -2000]);
});

/** Sinkhorn-Knopp with the whole matrix, as the sources write it. */
function balanced(l: number[][], iterations: number): number[][] {
  let q = l.map((row) => row.map(Math.exp));
  for (let i = 0; i < iterations; i++) {
    const columns = q[0]!.map((_, k) => q.reduce((s, row) => s + row[k]!, 0));
    q = q.map((row) => row.map((v, k) => v / columns[k]!));
    q = q.map((row) => row.map((v) => v / row.reduce((s, x) => s + x, 0)));
  }
  return q;
}

for (const fromProbabilities of [0, 1])
  test(`prototype_sinkhorn balances rows and columns, from probabilities: ${fromProbabilities}`, async (t) => {
    const [R, K, P] = [6, 301, 4];
    const [z, w] = [random([R, P], 1), random([K, P], 2)];
    const attrs = { temperature: 0.5, iterations: 3, from_probabilities: fromProbabilities };
    const bias = call(
      'prototype_sinkhorn',
      [tensor(Float64Array.from(z.values), z.shape), tensor(Float64Array.from(w.values), w.shape)],
      attrs,
    )[0]!;
    const logU = Array.from(await bias.read(), Number);
    const l = rowsOf(z.values, P).map((row) => rowsOf(w.values, P).map((k) => inner(row, k) / 0.5));
    const start = fromProbabilities ? l.map((row) => softmaxOf(row).map(Math.log)) : l;
    const expected = balanced(start, 3).flat();
    const q = l.flatMap((row) => softmaxOf(row.map((v, k) => v + logU[k]!)));
    t.true(q.every((v, i) => Math.abs(v - expected[i]!) < 1e-12));
  });

test('prototype_sinkhorn refuses no iterations, no temperature and no rows', (t) => {
  const [z, w] = [zeros([2, 3]), zeros([4, 3])];
  const sinkhorn = (rows: Tensor, iterations: number, temperature: number) =>
    prototypeSinkhorn({ z: rows, prototypes: w, temperature }, { iterations });
  t.throws(() => sinkhorn(z, 0, 1), { message: /iterations/ });
  t.throws(() => sinkhorn(z, 3, 0), { message: /temperature/ });
  t.throws(() => sinkhorn(zeros([0, 3]), 3, 1), { message: /at least one row/ });
});

/** log I_ν(κ) by its integral, for whole ν. */
function logBessel(nu: number, kappa: number): number {
  const n = 4000;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const angle = ((i + 0.5) * Math.PI) / n;
    sum += Math.exp(kappa * (Math.cos(angle) - 1)) * Math.cos(nu * angle);
  }
  return kappa + Math.log(sum / n);
}

test('vmf_log_normalizer is that of the Bessel function, small and large', async (t) => {
  const P = 8;
  const at = [0.5, 3, 20, 190, 210, 1500];
  const values = at.flatMap((kappa) => [kappa, ...Array(P - 1).fill(0)]);
  const w = tensor(Float64Array.from(values), [at.length, P]);
  const y = await vmfLogNormalizer(w, 1).read();
  const log6 = Math.log(6);
  at.forEach((kappa, i) => {
    const expected = 3 * Math.log(kappa / 2) - log6 - logBessel(3, kappa);
    t.true(Math.abs(Number(y[i]) - expected) < 1e-8 * Math.max(1, Math.abs(expected)), `${kappa}`);
  });
});

test('vmf_log_normalizer has the gradient of its value', async (t) => {
  await checkOp(t, {
    op: 'vmf_log_normalizer',
    inputs: [random([5, 6], 3)],
    attrs: { temperature: 0.1 },
    outputs: [0],
  });
  const w = watch(zeros([2, 4]));
  const [gradient] = backward(call('dot', [vmfLogNormalizer(w, 0.1), tensor([1, 1], [2])])[0]!, [
    w,
  ]);
  t.true((await gradient!.read()).every((v) => v === 0));
  t.throws(() => vmfLogNormalizer(zeros([3, 1]), 1), { message: /P >= 2/ });
  t.throws(() => vmfLogNormalizer(zeros([3, 4]), 0), { message: /temperature/ });
});

test('nearest_prototypes: distances of a plain search, the same bits on any threads', async (t) => {
  const [K, P] = [300, 7];
  const values = pseudo(K * P, 8);
  const rows = rowsOf(values, P);
  const distances = rows.map((row, i) =>
    Math.min(
      ...rows.flatMap((other, j) =>
        i === j ? [] : [1 - inner(row, other) / (norm(row) * norm(other))],
      ),
    ),
  );
  const { distance } = nearestPrototypes(tensor(values, [K, P], 'f64'));
  Array.from(await distance.read()).forEach((d, i) => {
    t.true(Math.abs(d - distances[i]!) < 1e-12);
  });
  await checkOp(t, {
    op: 'nearest_prototypes',
    inputs: [{ shape: [K, P], values }, undefined],
    gradient: false,
  });
});
