// From pictures to tokens, and rows of them.
import test from 'ava';
import { call, embedTokens, tensor, zeros } from '../../lib/tensor/index.js';
import { checkOp } from '../support/check-op.js';
import { random } from '../support/numbers.js';

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
