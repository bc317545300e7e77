import test from 'ava';
import { call, zeros } from '../../lib/tensor/index.js';
import { checkOp, pseudo } from '../support/check-op.js';
import { random } from '../support/numbers.js';

const erf = (x: number) => {
  let sum = 0;
  for (let n = 0, term = x; n < 60; term *= (-x * x) / ++n) sum += term / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * sum;
};
const geluOf = (x: number) => (x / 2) * (1 + erf(x / Math.SQRT2));

test('gelu is x Φ(x)', async (t) => {
  const x = { shape: [37], values: pseudo(37, 1).map((v) => 3 * v) };
  await checkOp(t, { op: 'gelu', inputs: [x], reference: ([v]) => [v!.map(geluOf)] });
});

test('linear_gelu is GELU of the linear map', async (t) => {
  const [B, D, K] = [5, 3, 7];
  await checkOp(t, {
    op: 'linear_gelu',
    inputs: [random([B, D], 1), random([K, D], 2), random([K], 3)],
    reference: ([x, w, bias]) => [
      Array.from({ length: B * K }, (_, i) => {
        const [b, k] = [Math.floor(i / K), i % K];
        let sum = bias![k]!;
        for (let d = 0; d < D; d++) sum += x![b * D + d]! * w![k * D + d]!;
        return geluOf(sum);
      }),
    ],
  });
  await checkOp(t, {
    op: 'linear_gelu',
    inputs: [random([3, 4], 1), random([2, 4], 2), undefined],
  });
});

test('swiglu gates the second half', async (t) => {
  await checkOp(t, {
    op: 'swiglu',
    inputs: [random([3, 10], 1)],
    reference: ([x]) => [
      Array.from({ length: 15 }, (_, i) => {
        const at = Math.floor(i / 5) * 10 + (i % 5);
        return (x![at]! / (1 + Math.exp(-x![at]!))) * x![at + 5]!;
      }),
    ],
  });
});

test('layer_norm has zero mean and unit variance before its gain', async (t) => {
  const D = 9;
  await checkOp(t, {
    op: 'layer_norm',
    inputs: [random([2, 3, D], 1), random([D], 2), random([D], 3)],
    attrs: { eps: 1e-6 },
    reference: ([x, weight, bias]) => [
      x!.map((value, i) => {
        const row = x!.slice(i - (i % D), i - (i % D) + D);
        const mean = row.reduce((a, b) => a + b) / D;
        const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / D;
        return ((value - mean) / Math.sqrt(variance + 1e-6)) * weight![i % D]! + bias![i % D]!;
      }),
    ],
  });
});

for (const log of [0, 1]) {
  test(`softmax, log = ${log}`, async (t) => {
    const K = 7;
    await checkOp(t, {
      op: 'softmax',
      inputs: [random([4, K], 1)],
      attrs: { temperature: 0.3, log },
      reference: ([x]) => [
        x!.map((value, i) => {
          const row = x!.slice(i - (i % K), i - (i % K) + K);
          const p = Math.exp(value / 0.3) / row.reduce((a, b) => a + Math.exp(b / 0.3), 0);
          return log ? Math.log(p) : p;
        }),
      ],
    });
  });
}

test('soft_cross_entropy', async (t) => {
  const K = 5;
  const target = { ...random([3, K], 2), differentiable: false };
  await checkOp(t, {
    op: 'soft_cross_entropy',
    inputs: [random([3, K], 1), target],
    attrs: { temperature: 0.5 },
    reference: ([x, q]) => [
      [0, 1, 2].map((b) => {
        const row = x!.slice(b * K, b * K + K).map((v) => v / 0.5);
        const lse = Math.log(row.reduce((a, v) => a + Math.exp(v), 0));
        return -row.reduce((a, v, k) => a + q![b * K + k]! * (v - lse), 0);
      }),
    ],
  });
});

/** Sizes of attention, and where part q, k or v of a token's head lies in qkv (B, N, 3 D). */
const attended = { B: 2, N: 5, heads: 2, width: 3 };
const place = (b: number, n: number, part: number, h: number, j: number) => {
  const { N, heads, width } = attended;
  return ((b * N + n) * 3 + part) * heads * width + h * width + j;
};

/** softmax_m(q_n · k_m / √width) of one head. */
function probabilities(qkv: readonly number[], b: number, h: number, n: number): number[] {
  const { N, width } = attended;
  const powers = Array.from({ length: N }, (_, m) => {
    let score = 0;
    for (let c = 0; c < width; c++)
      score += qkv[place(b, n, 0, h, c)]! * qkv[place(b, m, 1, h, c)]!;
    return Math.exp(score / Math.sqrt(width));
  });
  const total = powers.reduce((a, power) => a + power);
  return powers.map((power) => power / total);
}

test('attention, with odd sizes', async (t) => {
  const { B, N, heads, width } = attended;
  const D = heads * width;
  await checkOp(t, {
    op: 'attention',
    inputs: [random([B, N, 3 * D], 4)],
    attrs: { heads },
    reference: ([qkv]) => [
      Array.from({ length: B * N * D }, (_, i) => {
        const [b, n] = [Math.floor(i / (N * D)), Math.floor(i / D) % N];
        const [h, j] = [Math.floor((i % D) / width), i % width];
        return probabilities(qkv!, b, h, n).reduce(
          (sum, p, m) => sum + p * qkv![place(b, m, 2, h, j)]!,
          0,
        );
      }),
    ],
  });
});

test('attention bears scores of some hundreds', async (t) => {
  const { B, N, heads, width } = attended;
  const qkv = random([B, N, 3 * heads * width], 9);
  const values = qkv.values.map((v, i) =>
    i % (3 * heads * width) < 2 * heads * width ? 20 * v : v,
  );
  await checkOp(t, { op: 'attention', inputs: [{ ...qkv, values }], attrs: { heads } });
});

test('attention_probabilities are those of attention', async (t) => {
  const { B, N, heads, width } = attended;
  await checkOp(t, {
    op: 'attention_probabilities',
    inputs: [random([B, N, 3 * heads * width], 1)],
    attrs: { heads },
    gradient: false,
    reference: ([qkv]) => [
      Array.from({ length: B * heads * N }, (_, i) =>
        probabilities(qkv!, Math.floor(i / (heads * N)), Math.floor(i / N) % heads, i % N),
      ).flat(),
    ],
  });
});

test('residual with LayerScale and drop path', async (t) => {
  const keep = { shape: [3], values: [1, 0, 1], differentiable: false };
  await checkOp(t, {
    op: 'residual',
    inputs: [random([3, 2, 5], 1), random([3, 2, 5], 2), random([5], 3), keep],
    attrs: { drop: 0.25 },
    reference: ([x, branch, gamma, kept]) => [
      x!.map((v, i) => v + (kept![Math.floor(i / 10)]! / 0.75) * gamma![i % 5]! * branch![i]!),
    ],
  });
  await checkOp(t, {
    op: 'residual',
    inputs: [random([3, 5], 1), random([3, 5], 2), undefined, undefined],
    attrs: { drop: 0 },
    reference: ([x, branch]) => [x!.map((v, i) => v + branch![i]!)],
  });
});

test('layers refuse shapes that do not fit', (t) => {
  const bad: [string, number[][], Record<string, number>][] = [
    ['layer_norm', [[2, 3], [4], [3]], { eps: 1e-6 }],
    ['attention', [[2, 3, 10]], { heads: 2 }],
    ['patch_embed', [[1, 3, 8, 8], [4, 2, 2, 2], [4]], {}],
    ['residual', [[2, 3], [3, 2], [3], [2]], { drop: 0 }],
    ['slice_rows', [[2, 3]], { begin: 1, end: 4 }],
    ['take_token', [[2, 3, 4]], { index: 3 }],
    ['swiglu', [[2, 3]], {}],
  ];
  for (const [op, shapes, attrs] of bad) {
    t.throws(
      () =>
        call(
          op,
          shapes.map((shape) => zeros(shape)),
          attrs,
        ),
      { code: 'ERR_PROTEA_SHAPE', message: new RegExp(`\\[${op}\\]`) },
      op,
    );
  }
});
