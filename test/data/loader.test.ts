import test from 'ava';
import {
  type Batch,
  CropLoader,
  epochOrder,
  multiCrop,
  openData,
  viewTensors,
} from '../../lib/data/index.js';

const recipes = multiCrop({
  globalSize: 16,
  globalScale: [0.4, 1],
  localCrops: 2,
  localSize: 8,
  localScale: [0.05, 0.4],
  colour: 1,
  blur: [1, 0.1, 0.5],
  flip: 0.5,
});
const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;

async function loader(workers: number, seed = 1, drawOnly = false) {
  const dataset = await openData('flora:images=40,size=24');
  return new CropLoader(dataset, { batch: 8, seed, recipes, normalisation, workers, drawOnly });
}

test('a batch depends on seed and step alone', async (t) => {
  const [one, four, other] = [await loader(1), await loader(4), await loader(1, 2)];
  for (let step = 0; step < 12; step++) {
    const expected = await one.batch(step);
    t.deepEqual(await four.batch(step), expected);
    t.notDeepEqual(await other.batch(step), expected);
  }
  t.deepEqual(await (await loader(2)).batch(7), await one.batch(7));
});

test('views of one size come together, view by view', async (t) => {
  const { groups } = await (await loader(2)).batch(0);
  t.deepEqual(
    groups.map(({ shape, views }) => [shape, views]),
    [
      [[16, 3, 16, 16], 2],
      [[16, 3, 8, 8], 2],
    ],
  );
  t.true(groups.every(({ values }) => values.every(Number.isFinite)));
});

/** Values of all groups. */
const valuesOf = (batch: Batch) =>
  Promise.all(viewTensors(batch, normalisation).map((made) => made.read()));

test('views that were only drawn become the views that are made', async (t) => {
  const [made, drawn] = [await loader(2), await loader(2, 1, true)];
  for (const step of [0, 7]) {
    const [expected, batch] = [await made.batch(step), await drawn.batch(step)];
    t.is(batch.pixels?.length, 8 * 3 * 24 * 24);
    t.deepEqual(
      batch.groups.map(({ shape, views }) => [shape, views]),
      expected.groups.map(({ shape, views }) => [shape, views]),
    );
    const values = expected.groups.map((group) => group.values);
    t.deepEqual(await valuesOf(batch), values);
    t.deepEqual(await valuesOf(expected), values);
  }
});

test('an epoch is a permutation, another one in every epoch', (t) => {
  const [a, b] = [epochOrder(100, 5, 0), epochOrder(100, 5, 1)];
  const all = Array.from({ length: 100 }, (_, i) => i);
  t.deepEqual(
    Array.from(a).sort((x, y) => x - y),
    all,
  );
  t.notDeepEqual(a, b);
  t.notDeepEqual(Array.from(a), all);
});

test('a batch larger than the data is refused', async (t) => {
  const dataset = await openData('flora:images=12');
  t.throws(() => new CropLoader(dataset, { batch: 32, seed: 0, recipes, normalisation }), {
    code: 'ERR_PROTEA_CONFIG',
    message: /fewer than a batch of 32/,
  });
});
