import test from 'ava';
import { openData } from '../../lib/data/index.js';
import {
  accuracyOf,
  evalSplit,
  isLongTailed,
  judged,
  knnOf,
  linearOf,
  rawFeatures,
  thirds,
} from '../../lib/eval/index.js';
import { tensor } from '../../lib/tensor/index.js';
import { pseudo } from '../support/check-op.js';

/** Two classes of points that differ in the first coordinate, by little beside its large offset. */
function points(count: number, seed: number) {
  const noise = pseudo(3 * count, seed);
  const labels = Array.from({ length: count }, (_, i) => i % 2);
  const values = labels.flatMap((label, i) => [
    100 + 0.02 * label + 0.005 * noise[3 * i]!,
    noise[3 * i + 1]!,
    noise[3 * i + 2]!,
  ]);
  return { features: tensor(values, [count, 3]), labels };
}

test('classes that a line parts are told apart, whatever the scale of the features', async (t) => {
  const found = await linearOf({ train: points(80, 1), test: points(40, 2) });
  t.is(found.top1, 100);
  t.is(found.heldOut, 100);
  t.is(found.groups, null);
});

test('the strength is chosen without the test labels', async (t) => {
  const [train, other] = [points(80, 1), points(40, 2)];
  const right = await linearOf({ train, test: other });
  const wrong = await linearOf({
    train,
    test: { ...other, labels: other.labels.map((l) => 1 - l) },
  });
  t.deepEqual([wrong.strength, wrong.heldOut], [right.strength, right.heldOut]);
  t.is(wrong.top1, 0);
});

test('a long-tailed list has thirds of its classes: largest first, the rest in the middle', (t) => {
  t.deepEqual(thirds([5, 50, 1, 9]), ['medium', 'head', 'tail', 'medium']);
  t.true(isLongTailed([50, 5, 0]));
  t.false(isLongTailed([50, 6]));
  const guesses = [[0, 1], [0, 1], [1], [2]];
  const { top1, top5, groups } = accuracyOf(guesses, [0, 1, 1, 2], [...Array(10).fill(0), 1, 1, 2]);
  t.is(top1, 75);
  t.is(top5, 100);
  t.deepEqual(groups, { macro: (100 + 50 + 100) / 3, head: 100, medium: 50, tail: 100 });
});

test('on long-tailed pictures both judges give the thirds', async (t) => {
  const train = await openData('flora:images=130,classes=6,size=12,longtail=20');
  const other = await openData('flora:images=60,classes=6,size=12,test=1');
  const split = evalSplit(train, other, 1000)!;
  const [nearest, linear] = await judged(await rawFeatures(split, 12), (features) =>
    Promise.all([knnOf(features), linearOf(features)]),
  );
  for (const { groups, top1 } of [nearest, linear]) {
    t.true(groups!.head !== null && groups!.tail !== null);
    t.true(Math.abs(groups!.macro! - top1) < 1e-9, 'as many test images of each class');
  }
});
