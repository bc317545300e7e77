// Counts against a float64 brute force, with prototypes planted a millionth beside the threshold.
import test from 'ava';
import { diagnose } from '../../lib/diagnose/index.js';
import { normals } from '../../lib/nn/index.js';
import {
  nearestPrototypes,
  prototypeGroups,
  type Tensor,
  tensor,
  uniquePrototypes,
} from '../../lib/tensor/index.js';

type Rows = Float32Array | Float64Array;

function dot(a: Rows, b: Rows): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
const cosine = (a: Rows, b: Rows) => dot(a, b) / (Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b)));

/** The rule as it is defined, in double. */
function bruteForce(
  rows: readonly Rows[],
  epsilon: number,
): { greedy: number[]; joined: number[] } {
  const near = (i: number, j: number) => 1 - cosine(rows[i]!, rows[j]!) < epsilon;
  const greedy: number[] = [];
  const joined = rows.map((_, i) => i);
  const find = (k: number): number => (joined[k] === k ? k : find(joined[k]!));
  for (let i = 0; i < rows.length; i++) {
    const leader = greedy.findIndex((l, j) => l === j && near(i, j));
    greedy.push(leader < 0 ? i : leader);
    for (let j = 0; j < i; j++)
      if (near(i, j)) {
        const [a, b] = [find(i), find(j)];
        joined[Math.max(a, b)] = Math.min(a, b);
      }
  }
  return { greedy, joined: joined.map((_, k) => find(k)) };
}

/** Groups around random centres, each member at a distance of epsilon ± 1e-6 from its centre. */
function planted(groups: number, members: number, dim: number, epsilon: number, seed: number) {
  const rows: Float64Array[] = [];
  for (let g = 0; g < groups; g++) {
    const centre = Float64Array.from(normals(seed, g, 0, dim));
    const length = Math.sqrt(dot(centre, centre));
    const unit = centre.map((v) => v / length);
    rows.push(unit.map((v) => v * (1 + g)));
    for (let m = 0; m < members; m++) {
      const other = Float64Array.from(normals(seed, g, 1 + m, dim));
      const along = dot(other, unit);
      const aside = other.map((v, i) => v - along * unit[i]!);
      const norm = Math.sqrt(dot(aside, aside));
      const cos = 1 - epsilon + (m % 2 ? 1e-6 : -1e-6);
      const sin = Math.sqrt(1 - cos * cos);
      rows.push(unit.map((v, i) => cos * v + (sin * aside[i]!) / norm));
    }
  }
  return rows;
}

/** Any order: row i moves to (i * step) mod K, for a step that shares no factor with K. */
const shuffled = <T>(rows: readonly T[], step: number) =>
  rows.map((_, i) => rows[(i * step) % rows.length]!);

const place = (rows: readonly Rows[], double: boolean): Tensor => {
  const flat = rows.flatMap((row) => [...row]);
  const shape = [rows.length, rows[0]!.length];
  return tensor(double ? Float64Array.from(flat) : Float32Array.from(flat), shape);
};

for (const dim of [5, 130, 256])
  for (const double of [false, true])
    test(`counts at 1e-6 from the threshold, ${dim} dimensions, ${double ? 'f64' : 'f32'}`, async (t) => {
      const epsilons = [0.01, 0.025, 0.1];
      const whole = epsilons.flatMap((epsilon, e) => planted(11, 9, dim, epsilon, e));
      whole.push(new Float64Array(dim)); // a row of no length is nobody's copy
      const given = double ? whole : whole.map((row) => Float32Array.from(row));
      for (const step of [1, 7, given.length - 1]) {
        const rows = shuffled<Rows>(given, step);
        const w = place(rows, double);
        const found = await prototypeGroups(w, epsilons).read();
        const K = rows.length;
        epsilons.forEach((epsilon, e) => {
          const expected = bruteForce(rows, epsilon);
          t.deepEqual([...found.subarray(e * K, (e + 1) * K)], expected.greedy);
          const joined = found.subarray((3 + e) * K, (4 + e) * K);
          t.deepEqual([...joined], expected.joined);
        });
        w.dispose();
      }
    });

const [manyRows, manyDims] = [1733, 200];
const mixed = (value: (k: number, p: number, noise: number) => number) => {
  const noise = normals(2, 0, 0, manyRows * manyDims);
  return noise.map((v, i) => value(Math.floor(i / manyDims), i % manyDims, v));
};
const centres = normals(1, 0, 0, 300 * manyDims);
const centre = (k: number, p: number) => centres[(k % 300) * manyDims + p]!;

/** Sets of prototypes in which groups are apart, chained to one large component, or all the same. */
const sets: Record<string, () => Float32Array> = {
  'groups, some of them near each other': () =>
    mixed((k, p, v) => centre(k * 7, p) + centre(0, p) + 0.1 * v),
  'groups of two widths': () => mixed((k, p, v) => centre(k % 40, p) + (k % 3 ? 0.1 : 0.3) * v),
  'a chain': () =>
    mixed((k, p, v) => Math.cos(k / 90) * centre(0, p) + Math.sin(k / 90) * centre(1, p) + 0.2 * v),
  'nothing near': () => mixed((_, __, v) => v),
  'all equal': () => mixed((_, p) => p),
};
for (const [name, make] of Object.entries(sets))
  test(`several epsilons at once give what each gives alone by both rules: ${name}`, async (t) => {
    const w = tensor(Float32Array.from(make()), [manyRows, manyDims]);
    const epsilons = [0.02, 0.3, 0.002, 0.09, 0.02, 1.1];
    const E = epsilons.length;
    const [all, joined, both] = await Promise.all([
      uniquePrototypes(w, epsilons).read(),
      uniquePrototypes(w, epsilons, 'components').read(),
      prototypeGroups(w, epsilons).read(),
    ]);
    const of = (found: typeof all, e: number) =>
      found.subarray(e * manyRows, (e + 1) * manyRows).join();
    for (const [e, epsilon] of epsilons.entries()) {
      t.is(of(all, e), of(await uniquePrototypes(w, [epsilon]).read(), 0));
      t.is(of(joined, e), of(await uniquePrototypes(w, [epsilon], 'components').read(), 0));
      t.is(of(both, e), of(all, e));
      t.is(of(both, E + e), of(joined, e));
    }
  });

/**
 * Two fans of directions of `members` each: the nearest of one and of the other lie 1 - epsilon ± 1e-6
 * apart, all others farther, but not so far that their leaders would tell.
 */
function fans(members: number, dim: number, epsilon: number, beside: number) {
  const gap = Math.acos(1 - epsilon - beside) / 2;
  const noise = normals(6, 0, 0, 2 * members * dim);
  return Array.from({ length: 2 * members }, (_, k) => {
    const inner = k >> 1;
    const angle = (k % 2 ? 1 : -1) * (gap + (inner ? 0.03 + (0.05 * inner) / members : 0));
    const row = noise.slice(k * dim, (k + 1) * dim).map((v) => (inner ? 0.05 * v : 0));
    const rest = Math.sqrt(dot(row.slice(2), row.slice(2)));
    const aside = row.map((v) => (0.05 * v) / (rest || 1));
    const along = Math.sqrt(1 - (rest ? 0.05 ** 2 : 0));
    aside[0] = along * Math.cos(angle);
    aside[1] = along * Math.sin(angle);
    return Float64Array.from(aside);
  }).toReversed(); // the two that are nearest lead nobody
}

for (const [members, dim] of [
  [100, 20], // every pair of members is multiplied
  [2100, 8], // by all threads
] as const)
  test(`two groups of ${members} whose members all face each other`, async (t) => {
    for (const [beside, components] of [
      [-1e-6, 1],
      [1e-6, 2],
    ] as const) {
      const rows = fans(members, dim, 0.1, beside);
      const found = await prototypeGroups(place(rows, true), [0.1, 0.09]).read();
      const K = rows.length;
      const count = (at: number) =>
        found.slice(at * K, (at + 1) * K).filter((leader, k) => leader === k).length;
      t.deepEqual([0, 1, 2, 3].map(count), [2, 2, components, 2]);
      if (members > 1000) continue;
      const expected = bruteForce(rows, 0.1);
      t.deepEqual([...found.slice(0, K)], expected.greedy);
      t.deepEqual([...found.slice(2 * K, 3 * K)], expected.joined);
    }
  });

test('the nearest other prototype, with and without a head start', async (t) => {
  const [K, dim] = [1100, 130];
  const noise = normals(3, 0, 0, K * dim);
  const centres = normals(4, 0, 0, 100 * dim);
  const values = noise.map((v, i) => {
    const k = Math.floor(i / dim);
    return k % 3 ? centres[(k % 100) * dim + (i % dim)]! + 0.1 * v : v;
  });
  const rows = Array.from({ length: K }, (_, k) => values.slice(k * dim, (k + 1) * dim));
  const expected = rows.map((row, i) =>
    rows.reduce(
      (least, other, j) => (i === j ? least : Math.min(least, 1 - cosine(row, other))),
      9,
    ),
  );
  const w = tensor(values, [K, dim]);
  const leader = uniquePrototypes(w, [0.025]).reshape([K]);
  for (const start of [undefined, leader]) {
    const { nearest, distance } = nearestPrototypes(w, start);
    const found = await distance.read();
    const which = await nearest.read();
    for (let k = 0; k < K; k++) {
      t.true(Math.abs(found[k]! - expected[k]!) < 1e-6, `${k}: ${found[k]}, not ${expected[k]}`);
      t.true(Math.abs(1 - cosine(rows[k]!, rows[which[k]!]!) - found[k]!) < 1e-12);
    }
  }
});

test('a diagnosis adds up: groups, curve, rank, neighbours, lengths', async (t) => {
  const rows = [
    [1, 0, 0],
    [0, 2, 0],
    [0, 0, 3],
    [0, 0.0001, 3],
  ];
  const values = Float32Array.from(rows.flat());
  const { report, groups } = await diagnose({ values, shape: [4, 3] }, { epsilons: [1.5] });
  t.like(report, { total: 4, dim: 3, unique: 3, epsilon: 0.025, dead: 0, kappa: null });
  t.deepEqual(
    report.curve.map(({ greedy, components }) => [greedy, components]),
    [
      [3, 3],
      [1, 1],
    ],
  );
  t.deepEqual(report.groups[0], { row: 2, size: 2 });
  t.deepEqual([...groups.group], [0, 1, 2, 2]);
  t.is(report.norms.max, Math.sqrt(9 + Math.fround(0.0001) ** 2));
  t.true(report.effectiveRank! > 2.9 && report.effectiveRank! <= 3);
  t.is(report.neighbours!.distance.max, 1);
  const gains = [1, 2, 3, 0];
  const vmf = await diagnose({ values, shape: [4, 3] }, { gains, temperature: 0.1 });
  t.like(vmf.report, { dead: 1, kappa: { temperature: 0.1, max: 30 } });
});

test('numbers that are none, and shapes that are no matrix, are refused by name', async (t) => {
  const bad = { values: Float32Array.of(1, 2, 3, Number.NaN), shape: [2, 2] };
  await t.throwsAsync(diagnose(bad, { name: 'head' }), {
    code: 'ERR_PROTEA_NUMERIC',
    message: 'head: 1 of 4 numbers are not finite, the first in row 1',
  });
  await t.throwsAsync(diagnose({ values: [1, 2], shape: [2] }), { code: 'ERR_PROTEA_SHAPE' });
  await t.throwsAsync(diagnose({ values: [1, 2], shape: [1, 2] }, { epsilon: 3 }), {
    code: 'ERR_PROTEA_CONFIG',
  });
  const w = tensor([1, 2], [1, 2]);
  t.throws(() => nearestPrototypes(w), { code: 'ERR_PROTEA_SHAPE' });
  t.throws(() => uniquePrototypes(w, Array(65).fill(0.1)), { code: 'ERR_PROTEA_UNSUPPORTED' });
  t.is((await diagnose(w)).report.neighbours, null);
});
