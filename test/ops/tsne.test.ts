import test from 'ava';
import { tensor, tsne } from '../../lib/tensor/index.js';
import { checkOp, pseudo } from '../support/check-op.js';
import { rowsOf } from '../support/numbers.js';

const squared = (a: number[], b: number[]) => a.reduce((s, v, i) => s + (v - b[i]!) ** 2, 0);

/** Neighbour probabilities by bisection, as they are defined. */
function joint(x: number[][], perplexity: number): number[][] {
  const conditional = x.map((row, i) => {
    let [low, high] = [0, 1e6];
    let p: number[] = [];
    for (let step = 0; step < 200; step++) {
      const beta = (low + high) / 2;
      const raw = x.map((other, j) => (i === j ? 0 : Math.exp(-beta * squared(row, other))));
      const sum = raw.reduce((a, b) => a + b, 0);
      p = raw.map((v) => v / sum);
      const entropy = p.reduce((h, v) => (v > 0 ? h - v * Math.log(v) : h), 0);
      if (entropy > Math.log(perplexity)) low = beta;
      else high = beta;
    }
    return p;
  });
  return x.map((_, i) =>
    x.map((_, j) => (conditional[i]![j]! + conditional[j]![i]!) / (2 * x.length)),
  );
}

/** Two steps of descent, written out: the first with p times 12 and momentum 0.5, then 1 and 0.8. */
function twoSteps(x: number[][], start: number[][], perplexity: number): number[] {
  const p = joint(x, perplexity);
  const n = x.length;
  let y = start.map((row) => [...row]);
  let velocity = start.map(() => [0, 0]);
  let gain = start.map(() => [1, 1]);
  for (const [exaggeration, momentum] of [
    [12, 0.5],
    [1, 0.8],
  ] as const) {
    const q = y.map((a, i) => y.map((b, j) => (i === j ? 0 : 1 / (1 + squared(a, b)))));
    const total = q.flat().reduce((a, b) => a + b, 0);
    const slope = y.map((a, i) =>
      [0, 1].map((d) =>
        y.reduce(
          (s, b, j) =>
            s + 4 * (exaggeration * p[i]![j]! - q[i]![j]! / total) * q[i]![j]! * (a[d]! - b[d]!),
          0,
        ),
      ),
    );
    gain = gain.map((row, i) =>
      row.map((g, d) =>
        Math.max(0.01, slope[i]![d]! > 0 === velocity[i]![d]! > 0 ? g * 0.8 : g + 0.2),
      ),
    );
    velocity = velocity.map((row, i) =>
      row.map((v, d) => momentum * v - Math.max(50, n / 48) * gain[i]![d]! * slope[i]![d]!),
    );
    y = y.map((row, i) => row.map((v, d) => v + velocity[i]![d]!));
    const mean = [0, 1].map((d) => y.reduce((s, row) => s + row[d]!, 0) / n);
    y = y.map((row) => row.map((v, d) => v - mean[d]!));
  }
  return y.flat();
}

test('two steps are those of the definition', async (t) => {
  const [n, dim] = [13, 5];
  const x = pseudo(n * dim, 1);
  const start = pseudo(n * 2, 2).map((v) => 0.1 * v);
  const expected = twoSteps(rowsOf(x, dim), rowsOf(start, 2), 4);
  const y = await tsne(
    tensor(Float64Array.from(x), [n, dim]),
    tensor(Float64Array.from(start), [n, 2]),
    {
      perplexity: 4,
      iterations: 2,
    },
  ).read();
  expected.forEach((value, i) => {
    t.true(
      Math.abs(y[i]! - value) < 1e-3 * Math.max(1, Math.abs(value)),
      `${i}: ${y[i]}, not ${value}`,
    );
  });
});

test('the same bits on any threads', async (t) => {
  await checkOp(t, {
    op: 'tsne',
    inputs: [
      { shape: [40, 3], values: pseudo(120, 3) },
      { shape: [40, 2], values: pseudo(80, 4).map((v) => 0.1 * v) },
    ],
    attrs: { perplexity: 5, iterations: 1 },
    tolerance: 0.05,
    gradient: false,
  });
});

test('groups stay together', async (t) => {
  const [n, groups] = [120, 6];
  const noise = pseudo(n * 8, 5);
  const x = Float32Array.from(
    noise,
    (v, i) => 0.1 * v + Number(i % 8 === Math.floor(i / 8) % groups),
  );
  const start = tensor(pseudo(2 * n, 6), [n, 2]);
  const y = await tsne(tensor(x, [n, 8]), start, { perplexity: 10, iterations: 300 }).read();
  for (let i = 0; i < n; i++) {
    const away = (j: number) =>
      i === j ? 9e9 : Math.hypot(y[2 * i]! - y[2 * j]!, y[2 * i + 1]! - y[2 * j + 1]!);
    const nearest = Array.from({ length: n }, (_, j) => j).reduce((a, b) =>
      away(b) < away(a) ? b : a,
    );
    t.is(nearest % groups, i % groups);
  }
});

test('refuses sizes and perplexities that do not fit', (t) => {
  const x = tensor(pseudo(30, 1), [10, 3]);
  const start = tensor(pseudo(20, 1), [10, 2]);
  t.throws(() => tsne(x, start, { perplexity: 4 }), { code: 'ERR_PROTEA_UNSUPPORTED' });
  t.throws(() => tsne(x, tensor([1, 2], [1, 2]), { perplexity: 2 }), { code: 'ERR_PROTEA_SHAPE' });
  t.throws(() => tsne(tensor([1, 2, 3], [3, 1]), start), { code: 'ERR_PROTEA_SHAPE' });
});
