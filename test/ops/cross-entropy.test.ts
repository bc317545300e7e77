import test from 'ava';
import {
  backward,
  call,
  prototypeCrossEntropy,
  scope,
  type Tensor,
  tensor,
  watch,
  zeros,
} from '../../lib/tensor/index.js';
import { checkOp, pseudo } from '../support/check-op.js';
import { inner, random, rowsOf, softmaxOf } from '../support/numbers.js';

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
