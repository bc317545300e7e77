import test from 'ava';
import {
  backward,
  call,
  knnTopK,
  koleo,
  nearestPrototypes,
  prototypeCrossEntropy,
  prototypeLogMarginal,
  prototypeSinkhorn,
  scope,
  type Tensor,
  tensor,
  uniquePrototypes,
  vmfLogNormalizer,
  watch,
  weightNorm,
  zeros,
} from '../../lib/tensor/index.js';
import { checkOp, type Input, pseudo } from '../support/check-op.js';

const random = (shape: number[], seed: number, differentiable = true): Input => ({
  shape,
  values: pseudo(
    shape.reduce((a, b) => a * b, 1),
    seed,
  ),
  differentiable,
});

const norm = (x: number[]) => Math.hypot(...x);
const rowsOf = (x: number[], width: number) =>
  Array.from({ length: x.length / width }, (_, i) => x.slice(i * width, (i + 1) * width));
const inner = (a: number[], b: number[]) => a.reduce((s, v, i) => s + v * b[i]!, 0);

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

const softmaxOf = (l: number[]) => {
  const top = Math.max(...l);
  const sum = l.reduce((s, v) => s + Math.exp(v - top), 0);
  return l.map((v) => Math.exp(v - top) / sum);
};

/** The definition, with every probability written down. */
function crossEntropy(inputs: number[][], P: number, pairs: number[], views: [number, number]) {
  const [zs, ws, bs, zt, wt, bt, weight] = inputs;
  const logits = (z: number[], w: number[], bias: number[], tau: number) =>
    rowsOf(z, P).map((row) => rowsOf(w, P).map((k, i) => inner(row, k) / tau + (bias[i] ?? 0)));
  const student = logits(zs!, ws!, bs!, 0.1).map(softmaxOf);
  const teacher = logits(zt!, wt!, bt!, 0.05).map(softmaxOf);
  const images = student.length / views[0];
  let loss = 0;
  for (let v = 0; v < views[0]; v++)
    for (let u = 0; u < views[1]; u++)
      for (let b = 0; b < images; b++) {
        const [s, q] = [student[v * images + b]!, teacher[u * images + b]!];
        const ce = -q.reduce((sum, p, k) => sum + (p && p * Math.log(s[k]!)), 0);
        loss += pairs[v * views[1] + u]! * (weight![v * images + b] ?? 1) * ce;
      }
  return [[loss]];
}

for (const [K, name] of [
  [5, 'fewer prototypes than a block'],
  [137, 'several blocks, the last one short'],
] as const) {
  test(`prototype_cross_entropy: ${name}`, async (t) => {
    const [P, V, U, images] = [3, 3, 2, 2];
    const pairs = [0, 0.3, 0.2, 0, 0.5, 0.1];
    const options = {
      op: 'prototype_cross_entropy',
      attrs: {
        pairs,
        views: V,
        teacher_views: U,
        student_temperature: 0.1,
        teacher_temperature: 0.05,
      },
      tolerance: 3e-5,
      reference: (inputs: number[][]) => crossEntropy(inputs, P, pairs, [V, U]),
    };
    const z = random([V * images, P], 1);
    const w = random([K, P], 2);
    const teacher = [random([U * images, P], 3, false), random([K, P], 4, false)];
    await checkOp(t, {
      ...options,
      inputs: [
        z,
        w,
        random([K], 5),
        ...teacher,
        random([K], 6, false),
        random([V * images], 7, false),
      ],
    });
    await checkOp(t, { ...options, inputs: [z, w, undefined, ...teacher, undefined, undefined] });
  });
}

interface Side {
  z: Tensor;
  prototypes: Tensor;
}

/** 2 + 1 views of `images` images against K prototypes. */
function sides(K: number, P: number, images: number): { student: Side; teacher: Side } {
  const values = (rows: number, seed: number) => tensor(pseudo(rows * P, seed), [rows, P]);
  return {
    student: { z: watch(values(3 * images, 1)), prototypes: watch(values(K, 2)) },
    teacher: { z: values(2 * images, 3), prototypes: values(K, 4) },
  };
}

test('recomputed logits give the gradient that kept ones give', async (t) => {
  // 40 rows x 270336 prototypes are beyond what is kept; 8 images fewer at a time are not.
  const [K, P, images] = [270_336, 2, 8];
  const pairs = [0, 1, 1, 0, 1, 1];
  const { student, teacher } = sides(K, P, images);
  const loss = (s: Tensor, u: Tensor) =>
    prototypeCrossEntropy({
      student: { ...student, z: s, temperature: 0.1, views: 3 },
      teacher: { ...teacher, z: u, temperature: 0.05, views: 2 },
      pairs,
    });
  const whole = scope(
    () => backward(loss(student.z, teacher.z), [student.z, student.prototypes]) as Tensor[],
  );
  const parts = scope(() => {
    const half = (x: Tensor, views: number, from: number) =>
      call(
        'concat_rows',
        Array.from(
          { length: views },
          (_, v) =>
            call('slice_rows', [x], {
              begin: v * images + from,
              end: v * images + from + images / 2,
            })[0]!,
        ),
      )[0]!;
    const total = call(
      'weighted_sum',
      [0, images / 2].map((from) => loss(half(student.z, 3, from), half(teacher.z, 2, from))),
      { weights: [1, 1] },
    )[0]!;
    return backward(total, [student.z, student.prototypes]) as Tensor[];
  });
  for (const i of [0, 1]) {
    const [a, b] = [await whole[i]!.read(), await parts[i]!.read()];
    const largest = Array.from(a).reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    let worst = 0;
    for (let j = 0; j < a.length; j++) worst = Math.max(worst, Math.abs(a[j]! - b[j]!));
    t.true(worst < 1e-4 * largest, `gradient ${i} differs by ${worst} of ${largest}`);
  }
});

test('prototype_cross_entropy refuses views that do not fit', (t) => {
  const side = (rows: number, views: number, K = 4) => ({
    z: zeros([rows, 2]),
    prototypes: zeros([K, 2]),
    temperature: 0.1,
    views,
  });
  const call = (student: ReturnType<typeof side>, teacher: ReturnType<typeof side>, n: number) =>
    prototypeCrossEntropy({ student, teacher, pairs: Array(n).fill(1) });
  t.throws(() => call(side(6, 3), side(3, 2), 6), { code: 'ERR_PROTEA_SHAPE', message: /views/ });
  t.throws(() => call(side(6, 3), side(4, 2), 5), { code: 'ERR_PROTEA_SHAPE', message: /pairs/ });
  t.throws(() => call(side(6, 3), side(4, 2, 5), 6), { message: /as many prototypes/ });
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

test('koleo needs two rows', (t) => {
  t.throws(() => koleo(zeros([1, 4])), { code: 'ERR_PROTEA_SHAPE', message: /B >= 2/ });
});

/** The definition: rows in order join the first leader that is near. */
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
