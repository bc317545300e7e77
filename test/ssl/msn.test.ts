// MSN's losses where assignments are written down: smoothed, sharpened, balanced.
import test from 'ava';
import { msnLosses, SinkhornTargets } from '../../lib/ssl/index.js';
import { tensor } from '../../lib/tensor/index.js';
import { pseudo } from '../support/check-op.js';

type Rows = number[][];
const [views, images, D, K] = [2, 5, 4, 6];
const [temperature, sharpening, smoothing] = [0.1, 0.25, 0.2];

const rowsOf = (values: readonly number[]): Rows =>
  Array.from({ length: values.length / D }, (_, i) => {
    const row = values.slice(i * D, (i + 1) * D);
    return row.map((v) => v / Math.hypot(...row));
  });
const normalised = (row: number[]) => {
  const sum = row.reduce((a, b) => a + b);
  return row.map((v) => v / sum);
};
const dot = (a: number[], b: number[]) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

/** (1 - s) softmax(cosines / temperature) + s / K. */
const predictions = (z: Rows, prototypes: Rows): Rows =>
  z.map((row) =>
    normalised(prototypes.map((w) => Math.exp(dot(row, w) / temperature))).map(
      (p) => (1 - smoothing) * p + smoothing / K,
    ),
  );

/** Sinkhorn-Knopp of probabilities: columns, then rows, three times. */
function balanced(p: Rows): Rows {
  let q = p;
  for (let turn = 0; turn < 3; turn++) {
    const columns = q[0]!.map((_, k) => q.reduce((sum, row) => sum + row[k]!, 0));
    q = q.map((row) => normalised(row.map((v, k) => v / columns[k]!)));
  }
  return q;
}

for (const sinkhorn of [false, true])
  test(`smoothed targets are sharpened${sinkhorn ? ', then balanced' : ''}`, async (t) => {
    const [anchors, targets, prototypes] = [
      pseudo(views * images * D, 1),
      pseudo(images * D, 2),
      pseudo(K * D, 3),
    ];
    const w = rowsOf(prototypes);
    const sharp = predictions(rowsOf(targets), w).map((row) =>
      normalised(row.map((p) => p ** (1 / sharpening))),
    );
    const q = sinkhorn ? balanced(sharp) : sharp;
    const p = predictions(rowsOf(anchors), w);
    const expected =
      p.reduce((sum, row, i) => sum - dot(q[i % images]!, row.map(Math.log)), 0) / p.length;
    const { loss } = msnLosses(
      tensor(anchors, [views * images, D], 'f64'),
      tensor(targets, [images, D], 'f64'),
      tensor(prototypes, [K, D], 'f64'),
      {
        temperature,
        sharpening,
        smoothing,
        ...(sinkhorn ? { targets: new SinkhornTargets({ fromProbabilities: true }) } : {}),
      },
    );
    t.true(Math.abs((await loss.item()) - expected) < 1e-9, `${await loss.item()}, ${expected}`);
  });
