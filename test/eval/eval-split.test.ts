// Two sets whose classes are the same by name, or by number where there are no names.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import sharp from 'sharp';
import { type Dataset, labelsOf, openData } from '../../lib/data/index.js';
import { evalSplit, judged, knnOf, rawFeatures } from '../../lib/eval/index.js';
import { temporaryFolder } from '../support/folder.js';
import { sharedPath, testWith } from '../support/shared.js';

const names = ['airplane', 'deer', 'ship', 'truck'];

/** Two pictures a class, bright in the column of their class. */
async function classFolders(folder: string, classes: readonly string[]): Promise<void> {
  for (const name of classes) {
    mkdirSync(join(folder, name), { recursive: true });
    for (const level of [200, 220]) {
      const data = Uint8Array.from({ length: 48 }, (_, i) =>
        Math.floor(i / 3) % 4 === names.indexOf(name) ? level : 20,
      );
      const raw = { width: 4, height: 4, channels: 3 } as const;
      await sharp(data, { raw })
        .png()
        .toFile(join(folder, name, `${level}.png`));
    }
  }
}

const labelsOfTest = (train: Dataset, test: Dataset) =>
  Array.from(labelsOf(evalSplit(train, test, 1000)!.test.dataset)!);

test('a test set of some of the classes is judged by their names', async (t) => {
  const folder = temporaryFolder(t);
  await classFolders(join(folder, 'train'), names);
  await classFolders(join(folder, 'test'), names.slice(1));
  const [train, other] = [
    await openData(join(folder, 'train')),
    await openData(join(folder, 'test')),
  ];
  t.deepEqual(labelsOfTest(train, other), [1, 1, 2, 2, 3, 3]);
  const features = await rawFeatures(evalSplit(train, other, 1000)!, 4);
  t.is((await judged(features, (made) => knnOf(made, { k: 1 }))).top1, 100);
});

test('the folder that all of a set lies in is no part of its names', async (t) => {
  const folder = temporaryFolder(t);
  await classFolders(join(folder, 'a', 'train'), names);
  await classFolders(join(folder, 'b', 'test'), names.slice(2));
  const [train, other] = [await openData(join(folder, 'a')), await openData(join(folder, 'b'))];
  t.deepEqual(train.classes[0], 'train/airplane');
  t.deepEqual(labelsOfTest(train, other), [2, 2, 3, 3]);
});

test('a class that the training images do not have is named', async (t) => {
  const folder = temporaryFolder(t);
  await classFolders(join(folder, 'train'), names.slice(1));
  await classFolders(join(folder, 'test'), names);
  const [train, other] = [
    await openData(join(folder, 'train')),
    await openData(join(folder, 'test')),
  ];
  const error = t.throws(() => evalSplit(train, other, 1000), { code: 'ERR_PROTEA_DATA' });
  t.regex(error!.message, /test has the class "airplane", which .*train does not have/);
});

test('numbers of a list bear the names only where they are those of the folders', async (t) => {
  const folder = temporaryFolder(t);
  await classFolders(join(folder, 'train'), names);
  await classFolders(join(folder, 'test'), names.slice(1));
  const other = await openData(join(folder, 'test'));
  const listed = async (rows: string) => {
    writeFileSync(join(folder, 'list.csv'), `path_or_index,label\n${rows}\n`);
    return openData(join(folder, 'train'), { labels: join(folder, 'list.csv') });
  };
  const alike = await listed('truck/200.png,3\ndeer/200.png,1\nship/220.png,2');
  t.deepEqual(alike.classes, names);
  t.deepEqual(labelsOfTest(alike, other), [1, 1, 2, 2, 3, 3]);
  const own = await listed('deer/200.png,0\nship/200.png,1\ntruck/200.png,2');
  t.deepEqual(own.classes, []);
  t.deepEqual(labelsOfTest(own, other), [0, 0, 1, 1, 2, 2]);
});

test('a part without one image that can be read is no part to judge by', async (t) => {
  const folder = temporaryFolder(t);
  await classFolders(join(folder, 'train'), names);
  mkdirSync(join(folder, 'test', 'deer'), { recursive: true });
  mkdirSync(join(folder, 'test', 'ship'));
  for (const name of ['deer', 'ship']) writeFileSync(join(folder, 'test', name, '1.png'), '');
  const [train, other] = [
    await openData(join(folder, 'train')),
    await openData(join(folder, 'test')),
  ];
  const told: string[] = [];
  const split = evalSplit(train, other, 1000, { onWarning: (line) => told.push(line) })!;
  await t.throwsAsync(rawFeatures(split, 4), {
    code: 'ERR_PROTEA_DATA',
    message: /test: no image can be read/,
  });
  t.is(told.length, 2);
});

testWith('data/longtail', 'the long-tailed lists keep their numbers', async (t) => {
  const list = (name: string) => ({ labels: sharedPath('data/longtail', name) });
  const flowers = await openData(
    sharedPath('data/flowers102/flowers102-test-*.tar'),
    list('flowers102_train_if100.csv'),
  );
  const val = await openData(sharedPath('data/flowers102/flowers102-val-*.tar'));
  t.deepEqual(labelsOfTest(flowers, val), Array.from(labelsOf(val)!));
  const archive = sharedPath('data/cifar10/cifar10_jpeg.tar.gz');
  const cifar = await openData(archive, list('cifar10_train_if100.csv'));
  const test10k = await openData(`${archive}#test/`);
  t.deepEqual(labelsOfTest(cifar, test10k), Array.from(labelsOf(test10k)!));
});
