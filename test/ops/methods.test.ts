// Ops that serve a method: batch norm, the limit of one term's gradient, the gradient of the marginal.
import test from 'ava';
import {
  backward,
  call,
  dot,
  limitGradient,
  scope,
  tensor,
  watch,
} from '../../lib/tensor/index.js';
import { checkOp, pseudo } from '../support/check-op.js';

const input = (shape: number[], seed: number) => ({
  shape,
  values: pseudo(
    shape.reduce((a, b) => a * b, 1),
    seed,
  ),
});

for (const [B, D] of [
  [5, 3],
  [2, 70],
  [9, 67],
])
  test(`batch_norm of ${B} rows and ${D} columns: value and gradient`, async (t) => {
    await checkOp(t, {
      op: 'batch_norm',
      inputs: [input([B!, D!], 1), input([D!], 2), input([D!], 3)],
      attrs: { eps: 1e-3 },
      reference: ([x, weight, bias]) => {
        const column = (d: number) => Array.from({ length: B! }, (_, b) => x![b * D! + d]!);
        const mean = weight!.map((_, d) => column(d).reduce((a, v) => a + v, 0) / B!);
        const variance = weight!.map(
          (_, d) => column(d).reduce((a, v) => a + (v - mean[d]!) ** 2, 0) / B!,
        );
        return [
          x!.map((v, i) => {
            const d = i % D!;
            const normed = (v - mean[d]!) / Math.sqrt(variance[d]! + 1e-3);
            return normed * weight![d]! + bias![d]!;
          }),
        ];
      },
    });
  });

test('batch_norm names what does not fit', (t) => {
  const x = (shape: number[]) => tensor(pseudo(shape[0]! * (shape[1] ?? 1)), shape);
  const run = (...inputs: Parameters<typeof x>[0][]) =>
    call('batch_norm', inputs.map(x), { eps: 1e-5 });
  t.throws(() => run([1, 3], [3], [3]), { code: 'ERR_PROTEA_SHAPE', message: /B >= 2/ });
  t.throws(() => run([4, 3], [4], [3]), { code: 'ERR_PROTEA_SHAPE', message: /weight/ });
  t.throws(() => call('batch_norm', [x([4, 3]), x([3]), x([3])], { eps: 0 }), { message: /eps/ });
});

test('limit_gradient passes values on, and small gradients whole', async (t) => {
  await checkOp(t, {
    op: 'limit_gradient',
    inputs: [input([4, 7], 1)],
    attrs: { limit: 1e9 },
    reference: ([x]) => [x!],
  });
});

test('limit_gradient shortens a long gradient to the limit and keeps its direction', async (t) => {
  const upstream = tensor([3, 4, 0, 12], [4]);
  const gradient = scope(() => {
    const x = watch(tensor([1, 2, 3, 4], [4]));
    return backward(dot(limitGradient(x, 0.5), upstream), [x])[0]!;
  });
  const found = Array.from(await gradient.read(), Number);
  [3, 4, 0, 12].forEach((v, i) => {
    t.true(Math.abs(found[i]! - (v * 0.5) / 13) < 1e-6);
  });
  t.throws(() => limitGradient(upstream, 0), { message: /limit must be > 0/ });
});

for (const [R, K, P] of [
  [5, 131, 3],
  [3, 2, 1],
  [6, 300, 3],
])
  test(`prototype_marginal: gradient of ${R} rows against ${K} prototypes`, async (t) => {
    const rowsOf = (x: number[]) =>
      Array.from({ length: x.length / P! }, (_, i) => x.slice(i * P!, (i + 1) * P!));
    await checkOp(t, {
      op: 'prototype_marginal',
      inputs: [input([R!, P!], 1), input([K!, P!], 2), input([K!], 3)],
      attrs: { temperature: 0.4 },
      reference: ([z, w, bias]) => {
        const p = rowsOf(z!).map((row) => {
          const logits = rowsOf(w!).map(
            (k, i) => k.reduce((s, v, j) => s + v * row[j]!, 0) / 0.4 + bias![i]!,
          );
          const top = Math.max(...logits);
          const e = logits.map((l) => Math.exp(l - top));
          const sum = e.reduce((a, b) => a + b, 0);
          return e.map((v) => v / sum);
        });
        return [bias!.map((_, k) => p.reduce((s, row) => s + row[k]!, 0) / R!)];
      },
    });
  });
