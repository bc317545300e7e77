// Broken, odd and dangerous files: each gives what its manifest says, never a crash.
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { decode, openData, PictureCache } from '../../lib/data/index.js';
import { ProteaError } from '../../lib/error.js';
import { png, tarOf } from '../support/archives.js';
import { temporaryFolder } from '../support/folder.js';
import { sharedPath, testWith } from '../support/shared.js';

const folder = sharedPath('data/hostile');

/** The rows of the manifest; its last column is quoted where it holds commas. */
function manifest(): Record<string, string>[] {
  const [header, ...lines] = readFileSync(join(folder, 'manifest.csv'), 'utf8')
    .trim()
    .split(/\r?\n/);
  const names = header!.split(',');
  return lines.map((line) => {
    const fields = line.split(',');
    return Object.fromEntries(names.map((name, i) => [name, fields[i] ?? '']));
  });
}

testWith('data/hostile', 'every image decodes or is refused as its manifest says', async (t) => {
  for (const { file, format, width, height, decodes } of manifest()) {
    if (format === 'tar') continue;
    const bytes = readFileSync(join(folder, file!));
    try {
      const picture = await decode(bytes, file!);
      t.true(decodes === 'yes' || decodes === 'partial', `${file} should have been refused`);
      const turned = file!.startsWith('exif_orientation_6');
      const expected = turned ? [Number(height), Number(width)] : [Number(width), Number(height)];
      t.deepEqual([picture.width, picture.height], expected, file);
      t.is(picture.data.length, 3 * picture.width * picture.height, file);
    } catch (error) {
      if (!(error instanceof ProteaError)) throw error;
      t.not(decodes, 'yes', `${file}: ${error.message}`);
      t.is(error.code, 'ERR_PROTEA_DATA');
      t.true(error.message.startsWith(file!), error.message);
    }
  }
});

testWith(
  'data/hostile',
  'colours survive orientation, CMYK, 16 bits and a foreign name',
  async (t) => {
    const corner = async (file: string) =>
      Array.from((await decode(readFileSync(join(folder, file)), file)).data.slice(0, 3));
    const near = (a: number[], b: number[], tolerance: number) =>
      a.every((v, i) => Math.abs(v - b[i]!) <= tolerance);
    const red = [220, 20, 20];
    t.true(near(await corner('exif_orientation_6.jpg'), red, 6));
    t.true(near(await corner('cmyk.jpg'), red, 30));
    t.true(near(await corner('ünïcode ふくろう 名.jpg'), red, 6));
    t.deepEqual(await corner('animated.gif'), [255, 0, 0]);
    t.deepEqual(await corner('rgb16.png'), [0, 255, 128]);
  },
);

testWith('data/hostile', 'damaged shards give their whole samples and warnings', async (t) => {
  const cut = await openData(join(folder, 'truncated_shard.tar'));
  const keys = cut.samples.map(({ key }) => key);
  t.deepEqual(keys.slice(0, 3), ['s0.jpg', 's1.jpg', 's2.jpg']);
  for (const sample of cut.samples) t.true((await sample.load()).width > 0, sample.key);
  t.true(cut.warnings.some((line) => line.includes('truncated_shard.tar')));
  const unsafe = await openData(join(folder, 'unsafe_names_shard.tar'));
  t.deepEqual(
    unsafe.samples.map(({ key }) => key),
    ['ok.jpg', 'only_image.jpg'],
  );
  t.is(unsafe.warnings.filter((line) => line.includes('refused the name')).length, 2);
});

/** An archive of entries of 1536 bytes each that gzip halves. */
function shardOf(count: number): Promise<Buffer> {
  const noise = (i: number) => createHash('shake256', { outputLength: 500 }).update(`${i}`);
  const names = Array.from({ length: count }, (_, i) => [`${i}.jpg`, noise(i).digest('hex')]);
  return tarOf(Object.fromEntries(names));
}

test('an archive that is cut off gives its whole entries, gzipped or not', async (t) => {
  const folder = temporaryFolder(t);
  const tar = await shardOf(400);
  const gzip = gzipSync(tar);
  for (const [name, bytes] of [
    ['cut.tar', tar.subarray(0, 201 * 1536 - 700)],
    ['cut.tar.gz', gzip.subarray(0, gzip.length >> 1)],
  ] as const) {
    writeFileSync(join(folder, name), bytes);
    const opened = await openData(join(folder, name));
    const { length } = opened.samples;
    t.true(length > 190 && length < 210, `${name}: ${length}`);
    t.is(opened.samples.at(-1)!.key, `${length - 1}.jpg`);
    t.regex(opened.warnings.join(), new RegExp(`${name}: .*; ${length} whole entries are used`));
    t.is((await openData(join(folder, name))).samples.length, length);
  }
});

test('a gzipped archive that is damaged gives what comes before, and a warning', async (t) => {
  const path = join(temporaryFolder(t), 'damaged.tgz');
  const gzip = gzipSync(await shardOf(400));
  gzip.fill(0xff, gzip.length >> 1, (gzip.length >> 1) + 99);
  writeFileSync(path, gzip);
  const opened = await openData(path);
  t.true(opened.samples.length > 100 && opened.samples.length < 400);
  t.regex(opened.warnings.join(), /damaged\.tgz: .* whole entries are used/);
});

test('gzip is recognised by content; an archive without images says why', async (t) => {
  const folder = temporaryFolder(t);
  const opened = async (name: string, bytes: Buffer) => {
    writeFileSync(join(folder, name), bytes);
    return openData(join(folder, name));
  };
  const tar = await tarOf({ 'a.png': await png(1) });
  for (const [name, bytes] of [
    ['gzipped.tar', gzipSync(tar)],
    ['plain.tar.gz', tar],
    ['plain.tgz', tar],
  ] as const)
    t.is((await (await opened(name, bytes)).samples[0]!.load()).width, 4, name);
  const records = Buffer.alloc(3073, 1);
  t.is((await opened('gzipped.bin', gzipSync(records))).samples.length, 1);
  for (const [name, bytes, why] of [
    ['xz.tar.gz', Buffer.alloc(1024, 0xfd), /xz\.tar\.gz holds no images; .*Invalid tar header/],
    [
      'cut.tar',
      gzipSync(tar).subarray(0, 30),
      /cut\.tar holds no images; .*unexpected end of file/,
    ],
    ['empty.tar', Buffer.alloc(0), /empty\.tar holds no images$/],
  ] as const)
    await t.throwsAsync(opened(name, bytes), { code: 'ERR_PROTEA_DATA', message: why }, name);
});

testWith('data/hostile', 'bad pictures are named once, counted and replaced', async (t) => {
  const warnings: string[] = [];
  const dataset = await openData(folder);
  const cache = new PictureCache(dataset, { onWarning: (message) => warnings.push(message) });
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < dataset.samples.length; i++) t.truthy(await cache.at(i));
  t.is(warnings.length, cache.bad.size);
  t.true(warnings.some((line) => line.includes('zero_bytes.jpg')));
});

test('a picture that is gone when it is needed is a bad picture', async (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['a.png', 'b.png']) writeFileSync(join(folder, name), await png(9));
  const cache = new PictureCache(await openData(folder), { onWarning: (line) => told.push(line) });
  const told: string[] = [];
  rmSync(join(folder, 'a.png'));
  t.is((await cache.at(0)).data[0], 9);
  t.deepEqual([...cache.bad], [0]);
  t.regex(told.join(), /^skipped .*a\.png: ENOENT/);
});

test('too many bad pictures stop with a count and the last name', async (t) => {
  const sample = (i: number) => ({
    key: String(i),
    label: undefined,
    load: async () => decode(new Uint8Array(3), `image ${i}`),
  });
  const dataset = {
    name: 'broken',
    samples: Array.from({ length: 20 }, (_, i) => sample(i)),
    classes: [],
    warnings: [],
  };
  await t.throwsAsync(new PictureCache(dataset).at(0), {
    code: 'ERR_PROTEA_DATA',
    message: /broken: 8 of 8 pictures could not be read, the last: image 7/,
  });
});
