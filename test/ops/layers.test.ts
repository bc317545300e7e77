import test from 'ava';
import { call, embedTokens, tensor, zeros } from '../../lib/tensor/index.js';
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

test('patch_embed ignores what is beyond whole patches', async (t) => {
  const [C, H, W, P, D] = [2, 5, 7, 2, 3];
  await checkOp(t, {
    op: 'patch_embed',
    inputs: [random([2, C, H, W], 1), random([D, C, P, P], 2), random([D], 3)],
    reference: ([image, w, bias]) => [
      Array.from({ length: 2 * 6 * D }, (_, i) => {
        const [b, n, k] = [Math.floor(i / (6 * D)), Math.floor(i / D) % 6, i % D];
        const [py, px] = [Math.floor(n / 3) * P, (n % 3) * P];
        let sum = bias![k]!;
        for (let c = 0; c < C; c++)
          for (let y = 0; y < P; y++)
            for (let x = 0; x < P; x++)
              sum +=
                image![((b * C + c) * H + py + y) * W + px + x]! *
                w![((k * C + c) * P + y) * P + x]!;
        return sum;
      }),
    ],
  });
});

/** Cubic convolution (Keys 1981, eq. 4) and the triangle. */
const cubic = (x: number, a: number) =>
  x < 1 ? (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1 : x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
const triangle = (x: number) => Math.max(0, 1 - x);

/** The weights (out, in) of one axis, by half-pixel centres. */
function tapsOf(size: number, out: number, bicubic: number, antialias: number): number[][] {
  const ratio = size / out;
  const stretch = antialias ? Math.max(ratio, 1) : 1;
  return Array.from({ length: out }, (_, i) => {
    const centre = bicubic || antialias ? ratio * (i + 0.5) : Math.max(ratio * (i + 0.5), 0.5);
    const weights = Array<number>(size).fill(0);
    for (let j = -2 * size; j < 3 * size; j++) {
      const inside = j >= 0 && j < size;
      if (antialias && !inside) continue;
      const x = Math.abs(j + 0.5 - centre) / stretch;
      const weight = bicubic ? cubic(x, antialias ? -0.5 : -0.75) : triangle(x);
      weights[Math.min(Math.max(j, 0), size - 1)]! += weight;
    }
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((w) => w / sum);
  });
}

/** Planes resampled by the weights of their rows and columns. */
function resampled(x: readonly number[], rows: number[][], columns: number[][]): number[] {
  const [height, width] = [rows[0]!.length, columns[0]!.length];
  const planes = x.length / (height * width);
  return Array.from({ length: planes }, (_, c) =>
    rows.map((row) =>
      columns.map((column) => {
        let sum = 0;
        for (const [y, wy] of row.entries())
          for (const [at, wx] of column.entries())
            sum += wy * wx * x[(c * height + y) * width + at]!;
        return sum;
      }),
    ),
  ).flat(2);
}

for (const [bicubic, antialias] of [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
]) {
  test(`interpolate, bicubic ${bicubic}, antialias ${antialias}, is by its taps and keeps constants`, async (t) => {
    const attrs = { height: 3, width: 8, bicubic: bicubic!, antialias: antialias! };
    const [rows, columns] = [
      tapsOf(5, 3, bicubic!, antialias!),
      tapsOf(4, 8, bicubic!, antialias!),
    ];
    await checkOp(t, {
      op: 'interpolate',
      inputs: [random([2, 5, 4], 1)],
      attrs,
      reference: ([x]) => [resampled(x!, rows, columns)],
    });
    await checkOp(t, {
      op: 'interpolate',
      inputs: [{ shape: [4, 5, 3], values: Array(60).fill(2) }],
      attrs: { ...attrs, channels_last: 1 },
      reference: () => [Array(72).fill(2)],
    });
  });
}

test('embed_tokens puts CLS, registers and masked patches in their places', async (t) => {
  const [B, N, R, D] = [2, 3, 2, 2];
  const mask = { shape: [B, N], values: [0, 1, 0, 0, 0, 1], dtype: 'u8' as const };
  await checkOp(t, {
    op: 'embed_tokens',
    inputs: [
      random([B, N, D], 1),
      random([1, 1, D], 2),
      random([1, 1 + N, D], 3),
      random([1, R, D], 4),
      mask,
      random([1, D], 5),
    ],
    reference: ([patches, cls, position, registers, masked, maskToken]) => {
      const out: number[] = [];
      for (let b = 0; b < B; b++) {
        for (let d = 0; d < D; d++) out.push(cls![d]! + position![d]!);
        out.push(...registers!);
        for (let n = 0; n < N; n++)
          for (let d = 0; d < D; d++) {
            const patch = masked![b * N + n] ? maskToken![d]! : patches![(b * N + n) * D + d]!;
            out.push(patch + position![(1 + n) * D + d]!);
          }
      }
      return [out];
    },
  });
});

test('embed_tokens refuses a table of another size', (t) => {
  const parts = { patches: zeros([1, 4, 2]), cls: zeros([1, 1, 2]), position: zeros([1, 4, 2]) };
  t.throws(() => embedTokens(parts), { code: 'ERR_PROTEA_SHAPE', message: /position/ });
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

test('rows are taken, joined and averaged', async (t) => {
  const x = random([4, 3, 2], 1);
  await checkOp(t, {
    op: 'take_token',
    inputs: [x],
    attrs: { index: 1 },
    reference: ([v]) => [[0, 1, 2, 3].flatMap((b) => v!.slice(b * 6 + 2, b * 6 + 4))],
  });
  await checkOp(t, {
    op: 'slice_rows',
    inputs: [x],
    attrs: { begin: 1, end: 3 },
    reference: ([v]) => [v!.slice(6, 18)],
  });
  await checkOp(t, {
    op: 'concat_rows',
    inputs: [random([2, 3], 1), random([1, 3], 2), random([4, 3], 3)],
    reference: (parts) => [parts.flat()],
  });
  await checkOp(t, {
    op: 'mean_rows',
    inputs: [random([5, 3], 1)],
    reference: ([v]) => [
      [0, 1, 2].map((j) => [0, 1, 2, 3, 4].reduce((s, i) => s + v![i * 3 + j]!, 0) / 5),
    ],
  });
  const index = { shape: [5], values: [2, 0, 2, 2, 3], dtype: 'i32' as const };
  await checkOp(t, {
    op: 'gather_rows',
    inputs: [random([4, 3], 1), index],
    reference: ([v, rows]) => [rows!.flatMap((r) => v!.slice(r * 3, r * 3 + 3))],
  });
});

test('an index out of range is an error at the await', async (t) => {
  const rows = call('gather_rows', [zeros([2, 2]), tensor([5], [1], 'i32')])[0]!;
  await t.throwsAsync(rows.read(), { code: 'ERR_PROTEA_SHAPE', message: /gather_rows/ });
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
