import test from 'ava';
import { openData, PictureCache, spreadRows } from '../../lib/data/index.js';
import { evalSplit, judged, knn, knnClasses, knnOf, rawFeatures } from '../../lib/eval/index.js';
import { tensor } from '../../lib/tensor/index.js';

test('votes count exp(similarity / T): one near neighbour beats two far ones', async (t) => {
  const train = { features: tensor([1, 0, 0.6, 0.8, 0.6, -0.8], [3, 2]), labels: [0, 1, 1] };
  const test1 = { features: tensor([1, 0], [1, 2]), labels: [0] };
  t.is((await knn(train, test1, { k: 3 })).top1, 100);
  t.is((await knn(train, test1, { k: 3, temperature: 100 })).top1, 0);
  t.is((await knn(train, test1, { k: 3, temperature: 100 })).top5, 100);
});

test('classes without a training image are ranked last where their number is given', async (t) => {
  const train = { features: tensor([1, 0, 0, 1], [2, 2]), labels: [3, 1] };
  const row = tensor([1, 0.1], [1, 2]);
  const ranked = async (classes?: number) =>
    (await knnClasses(train, row, { k: 1, ...(classes ? { classes } : {}) })).classes[0];
  t.deepEqual(await ranked(), [3, 1]);
  t.deepEqual(await ranked(5), [3, 0, 1, 2, 4]);
});

test('k beyond the train set and missing labels are refused', async (t) => {
  const train = { features: tensor([1, 0], [1, 2]), labels: [0] };
  await t.throwsAsync(knn(train, train, { k: 2 }), { code: 'ERR_PROTEA_SHAPE' });
  await t.throwsAsync(knn({ ...train, labels: [] }, train, { k: 1 }), { code: 'ERR_PROTEA_DATA' });
});

test('one set is split into four parts to learn from and one to judge by', async (t) => {
  const flora = await openData('flora:images=50,classes=5');
  const split = evalSplit(flora, undefined, 1000)!;
  t.is(split.train.rows.length, 40);
  t.is(split.test.rows.length, 10);
  t.is(evalSplit(await openData('flora:classes=1'), undefined, 100), undefined);
});

test('raw pixels tell species of flora apart better than chance', async (t) => {
  const train = await openData('flora:images=120,classes=4,size=16');
  const other = await openData('flora:images=40,classes=4,size=16,test=1');
  const split = evalSplit(train, other, 1000, { train: new PictureCache(train) })!;
  const { top1, groups } = await judged(await rawFeatures(split, 16), (features) =>
    knnOf(features, { k: 5 }),
  );
  t.true(top1 > 30);
  t.is(groups, null, 'every class has as many images');
});

test('rows are spread evenly', (t) => {
  t.deepEqual(spreadRows(10, 4), [0, 2, 5, 7]);
  t.deepEqual(spreadRows(3, 4), [0, 1, 2]);
});
