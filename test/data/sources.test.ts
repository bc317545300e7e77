import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { labelsOf, openData } from '../../lib/data/index.js';
import { png, tarOf } from '../support/archives.js';
import { temporaryFolder } from '../support/folder.js';
import { sharedPath, testWith } from '../support/shared.js';

test('a folder of class folders has labels, a flat one has none', async (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['b', 'a']) {
    mkdirSync(join(folder, 'classes', name), { recursive: true });
    writeFileSync(join(folder, 'classes', name, '1.png'), await png(9));
  }
  writeFileSync(join(folder, 'classes', 'notes.txt'), 'no image');
  const labelled = await openData(join(folder, 'classes'));
  t.deepEqual(labelled.classes, ['a', 'b']);
  t.deepEqual(
    labelled.samples.map(({ key, label }) => [key, label]),
    [
      ['a/1.png', 0],
      ['b/1.png', 1],
    ],
  );
  const flat = await openData(join(folder, 'classes', 'a'));
  t.is(labelsOf(flat), undefined);
  const picture = await flat.samples[0]!.load();
  t.deepEqual([picture.width, picture.height, ...picture.data.slice(0, 3)], [4, 3, 9, 0, 0]);
});

test('links to images and folders are followed, loops end, the rest is named', async (t) => {
  const folder = temporaryFolder(t);
  const [photos, pool] = [join(folder, 'photos'), join(folder, 'pool')];
  for (const name of ['photos/a/deep', 'pool/cat'])
    mkdirSync(join(folder, name), { recursive: true });
  for (const path of ['photos/a/1.png', 'photos/a/deep/2.png', 'pool/cat/3.png'])
    writeFileSync(join(folder, path), await png(7));
  const link = (to: string, name: string) => symlinkSync(to, join(photos, name));
  link(join(pool, 'cat'), 'cat');
  link('../a/1.png', 'a/4.png');
  link('..', 'a/deep/up');
  link('a', '0');
  link('nowhere.png', 'a/gone.png');
  link('itself', 'itself');
  symlinkSync('..', join(pool, 'cat', 'pool'));
  writeFileSync(join(pool, '5.png'), await png(7));
  const dataset = await openData(photos);
  t.deepEqual(
    dataset.samples.map(({ key }) => key),
    ['a/1.png', 'a/4.png', 'a/deep/2.png', 'cat/3.png', 'cat/pool/5.png'],
  );
  for (const sample of dataset.samples) t.is((await sample.load()).data[0], 7);
  const left = dataset.warnings.map((line) => line.slice(photos.length + 1)).sort();
  t.is(left.length, 5);
  t.regex(left[0]!, /^0: the folder .*photos\/a is read already, left out/);
  t.regex(left[1]!, /^a\/deep\/up: the folder .* is read already/);
  t.regex(left[2]!, /^a\/gone\.png: the link cannot be followed \(ENOENT\), left out/);
  t.regex(left[3]!, /^cat\/pool\/cat: the folder .* is read already/);
  t.regex(left[4]!, /^itself: the link cannot be followed \(ELOOP\)/);
  const lone = join(folder, 'lone');
  mkdirSync(lone);
  symlinkSync('nowhere.png', join(lone, 'x.png'));
  await t.throwsAsync(openData(lone), {
    code: 'ERR_PROTEA_DATA',
    message: /lone holds no images; .*x\.png: the link cannot be followed/,
  });
});

test('an IDX file with labels beside it, gzipped', async (t) => {
  const folder = temporaryFolder(t);
  const images = Buffer.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4]);
  const labels = Buffer.from([0, 0, 8, 1, 0, 0, 0, 2, 7, 5]);
  const path = join(folder, 't10k-images-idx3-ubyte.gz');
  writeFileSync(path, gzipSync(images));
  writeFileSync(join(folder, 't10k-labels-idx1-ubyte.gz'), gzipSync(labels));
  const dataset = await openData(path);
  t.deepEqual(labelsOf(dataset), Int32Array.from([7, 5]));
  const { data, width, height } = await dataset.samples[1]!.load();
  t.deepEqual([width, height, ...data], [2, 1, 3, 3, 3, 4, 4, 4]);
  writeFileSync(path, gzipSync(images.subarray(0, 18)));
  await t.throwsAsync(openData(path), { code: 'ERR_PROTEA_DATA', message: /promises 4 bytes, 2/ });
});

test('CIFAR binary planes become pixels', async (t) => {
  const record = Buffer.alloc(3073);
  record[0] = 6;
  record.set([10], 1);
  record.set([20], 1 + 1024);
  record.set([30], 1 + 2048);
  const path = join(temporaryFolder(t), 'data.bin');
  writeFileSync(path, record);
  const dataset = await openData(path);
  t.is(dataset.samples[0]!.label, 6);
  t.deepEqual([...(await dataset.samples[0]!.load()).data.slice(0, 3)], [10, 20, 30]);
  writeFileSync(path, record.subarray(0, 3000));
  await t.throwsAsync(openData(path), { code: 'ERR_PROTEA_DATA', message: /whole records/ });
});

const shard = async (path: string, entries: Record<string, Buffer | string>) =>
  writeFileSync(path, await tarOf(entries));

test('tar shards join, with their .cls labels; a prefix selects', async (t) => {
  const folder = temporaryFolder(t);
  const image = await png(1);
  await shard(join(folder, 'x-0.tar'), { 'a.cls': '3', 'a.png': image, 'b.png': image });
  await shard(join(folder, 'x-1.tar'), { 'a.png': image, 'a.cls': '4\n' });
  const dataset = await openData(join(folder, 'x-*.tar'));
  t.deepEqual(
    dataset.samples.map(({ key, label }) => [key, label]),
    [
      ['a.png', 3],
      ['b.png', undefined],
      ['a.png', 4],
    ],
  );
  await shard(join(folder, 'y.tar'), {
    'train/cat/1.png': image,
    'train/dog/1.png': image,
    'test/cat/9.png': image,
  });
  const train = await openData(`${join(folder, 'y.tar')}#train/`);
  t.deepEqual(labelsOf(train), Int32Array.from([0, 1]));
  await t.throwsAsync(openData(`${join(folder, 'y.tar')}#val/`), { message: /holds no images/ });
});

test('an archive may have more entries than a call has arguments', async (t) => {
  const path = join(temporaryFolder(t), 'many.tar');
  const header = (await tarOf({ 'a.png': '' })).subarray(0, 512);
  writeFileSync(path, Buffer.alloc(512 * 150_000, header));
  t.is((await openData(path)).samples.length, 150_000);
});

test('a list of labels selects and orders', async (t) => {
  const folder = temporaryFolder(t);
  const list = join(folder, 'list.csv');
  writeFileSync(list, 'path_or_index,label\n1/1,9\n0/0.png,2\n');
  const flora = 'flora:classes=2,images=4';
  await t.throwsAsync(openData(flora, { labels: list }), {
    code: 'ERR_PROTEA_DATA',
    message: /list\.csv:3: .*no sample "0\/0\.png"/,
  });
  writeFileSync(list, 'path_or_index,label\n1/1,9\n0/0,2\n');
  const dataset = await openData(flora, { labels: list });
  t.deepEqual(
    dataset.samples.map(({ key, label }) => [key, label]),
    [
      ['1/1', 9],
      ['0/0', 2],
    ],
  );
});

test('labels are whole numbers, in lists and in .cls entries', async (t) => {
  const folder = temporaryFolder(t);
  const list = join(folder, 'list.csv');
  for (const label of ['', ' ', '1e1', '0x10', '1.0', '-1', 'cat', '9999999999']) {
    writeFileSync(list, `path_or_index,label\n0/1, 1 \n0/0,${label}\n`);
    const error = await t.throwsAsync(openData('flora', { labels: list }), {
      code: 'ERR_PROTEA_DATA',
    });
    const expected = `list.csv:3: labels must be whole numbers, got "${label}"`;
    t.true(error!.message.endsWith(expected), error!.message);
  }
  const image = await png(1);
  const path = join(folder, 'x.tar');
  const bad = { 'b.cls': '', 'c.cls': '1e1', 'd.cls': '0x10', 'e.cls': 'cat' };
  const images = Object.fromEntries([...'abcde'].map((name) => [`${name}.png`, image]));
  await shard(path, { 'a.cls': ' 7\n', ...bad, ...images });
  const dataset = await openData(path);
  t.deepEqual(
    dataset.samples.map(({ label }) => label),
    [7, undefined, undefined, undefined, undefined],
  );
  t.deepEqual(
    dataset.warnings,
    Object.entries(bad).map(
      ([name, text]) => `${path}: ${name}: labels must be whole numbers, got "${text}"`,
    ),
  );
});

test('flora is the same every time, and has a long tail when asked', async (t) => {
  const [a, b] = [await openData('flora'), await openData('flora')];
  t.deepEqual(await a.samples[5]!.load(), await b.samples[5]!.load());
  t.notDeepEqual(await a.samples[5]!.load(), await b.samples[6]!.load());
  const tail = await openData('flora:classes=3,images=111,longtail=100');
  const counts = [0, 1, 2].map((c) => tail.samples.filter(({ label }) => label === c).length);
  t.deepEqual(counts, [100, 10, 1]);
  await t.throwsAsync(openData('flora:clases=3'), {
    code: 'ERR_PROTEA_CONFIG',
    message: /clases=3/,
  });
});

test('options of flora that are no options, or have no such value, are refused', async (t) => {
  const refused: [string, RegExp][] = [
    ['test', /Expected test=NUMBER for flora but received "test"/],
    ['test=', /test=NUMBER/],
    ['seed=', /seed=NUMBER/],
    ['images=3=4', /images=NUMBER .* "images=3=4"/],
    ['toString=1', /options among classes, images/],
    ['test=2', /whole number in \[0, 1\] for test/],
    ['test=yes', /whole number in \[0, 1\] for test but received NaN/],
    ['longtail=Infinity', /longtail/],
    ['longtail=x', /longtail/],
    ['size=1.5', /size/],
    ['size=5000', /whole number in \[1, 4096\] for size/],
  ];
  for (const [options, message] of refused)
    await t.throwsAsync(
      openData(`flora:${options}`),
      { code: 'ERR_PROTEA_CONFIG', message },
      options,
    );
  const [other] = (await openData('flora:test=1,longtail=1.5')).samples;
  t.is(other!.key, '0/1000000');
});

test('what cannot be opened is named', async (t) => {
  await t.throwsAsync(openData('/nowhere/at/all'), {
    code: 'ERR_PROTEA_DATA',
    message: /\/nowhere\/at\/all/,
  });
});

test('a relative path that is not there says where it was looked for', async (t) => {
  const error = await t.throwsAsync(openData('pictures'), { code: 'ERR_PROTEA_DATA' });
  t.is(error.message, `pictures: no such file or folder in ${process.cwd()}`);
});

testWith('data/cifar10', 'CIFAR-10: the JPEG archive and the lossless records agree', async (t) => {
  const test10k = await openData(`${sharedPath('data/cifar10/cifar10_jpeg.tar.gz')}#test/`);
  t.is(test10k.samples.length, 10_000);
  t.is(test10k.classes.length, 10);
  const exact = await openData(sharedPath('data/cifar10/test_first1000.bin.gz'));
  t.is(exact.samples.length, 1000);
});

testWith('data/flowers102', 'Flowers: shards with labels', async (t) => {
  const train = await openData(sharedPath('data/flowers102/flowers102-train-*.tar'));
  t.is(train.samples.length, 1020);
  t.is(new Set(labelsOf(train)).size, 102);
});

testWith('data/longtail', 'long-tailed lists of every kind of data fit', async (t) => {
  const lists: [string, string, number][] = [
    ['cifar10/cifar10_jpeg.tar.gz', 'cifar10_train_if100.csv', 12_406],
    ['cifar10/train_first4000.bin.gz', 'cifar10-first4000_train_if100.csv', 740],
    ['fashion-mnist/train-images-idx3-ubyte.gz', 'fashion-mnist_train_if100.csv', 14_886],
    ['flowers102/flowers102-test-*.tar', 'flowers102_train_if100.csv', 2176],
  ];
  for (const [source, list, count] of lists) {
    const labels = sharedPath('data/longtail', list);
    const dataset = await openData(sharedPath('data', source), { labels });
    t.is(dataset.samples.length, count, list);
  }
});
