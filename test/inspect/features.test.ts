// Features by checkpoints: a run's teacher, official names, a backbone alone in its file.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openData, PictureCache } from '../../lib/data/index.js';
import { extractFeatures } from '../../lib/eval/index.js';
import { datasetFeatures, openFeatureNetwork } from '../../lib/inspect/index.js';
import { featureOptions, readCheckpoint, restoredMethod } from '../../lib/train/index.js';
import { temporaryFolder } from '../support/folder.js';
import { config, vit } from '../support/small-networks.js';
import { finalCheckpoint, train } from '../support/small-run.js';
import { torchZip, writePieces } from '../support/torch-writer.js';

const pictures = () => openData('flora:images=9,classes=3,size=40');

async function numbersOf(path: string, options = {}) {
  const network = await openFeatureNetwork(path);
  const { features, rows } = await datasetFeatures(network, await pictures(), options);
  const values = [...(await features.read())];
  features.dispose();
  network.dispose();
  return { values, rows, shape: features.shape };
}

for (const preset of [undefined, 'capi-tiny'])
  test(`the features of ${preset ?? 'a run'} are those that judge it`, async (t) => {
    const out = join(temporaryFolder(t), 'run');
    const extra = preset ? ['crops.local=0', 'head.bottleneckDim=64'] : [];
    await train(out, 2, extra, undefined, preset);
    const path = join(out, 'checkpoints', finalCheckpoint(out).name);
    const checkpoint = await readCheckpoint(path);
    const { method } = restoredMethod(checkpoint.meta.config, checkpoint);
    const cache = new PictureCache(await pictures());
    const rows = [...cache.dataset.samples.keys()];
    const options = featureOptions(checkpoint.meta.config);
    const expected = await extractFeatures(method.teacher.backbone, cache, rows, options);
    t.deepEqual(await numbersOf(path), {
      values: [...(await expected.features.read())],
      rows,
      shape: expected.features.shape,
    });
  });

test("a teacher's backbone among others, and the same alone in its file", async (t) => {
  const folder = temporaryFolder(t);
  const [student, teacher] = [vit('module.backbone.'), vit('backbone.')];
  const alone = teacher.map(([name, value]) => [name.slice('backbone.'.length), value] as const);
  const both = { student: new Map(student), teacher: new Map(teacher) };
  writePieces(join(folder, 'both.pth'), torchZip(both));
  writePieces(join(folder, 'alone.pth'), torchZip(new Map(alone)));
  const found = await numbersOf(join(folder, 'both.pth'));
  t.deepEqual(found.shape, [9, config.dim]);
  t.deepEqual(await numbersOf(join(folder, 'alone.pth')), found);
});

test('length, tokens, size and number of images are free', async (t) => {
  const path = join(temporaryFolder(t), 'vit.pth');
  writePieces(path, torchZip(new Map(vit(''))));
  const length = (values: number[]) => Math.hypot(...values.slice(0, config.dim));
  for (const pool of ['cls', 'patches'] as const) {
    const raw = await numbersOf(path, { normalised: false, pool });
    const unit = await numbersOf(path, { pool });
    const by = length(raw.values);
    t.true(Math.abs(by - 1) > 1e-3 && Math.abs(length(unit.values) - 1) < 1e-6);
    for (let d = 0; d < config.dim; d++)
      t.true(Math.abs(raw.values[d]! / by - unit.values[d]!) < 1e-6, `${pool} ${d}`);
  }
  const few = await numbersOf(path, { maxImages: 4, size: 48 });
  t.deepEqual(few.rows, [0, 2, 4, 6]);
});

test('what holds no vision transformer, and pictures that cannot be read, are refused', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'head.pth');
  writePieces(file, torchZip(new Map(vit('').filter(([name]) => !name.startsWith('patch')))));
  await t.throwsAsync(openFeatureNetwork(file), {
    code: 'ERR_PROTEA_UNSUPPORTED',
    message: /has no vision transformer/,
  });
  writePieces(file, torchZip(new Map(vit(''))));
  for (const name of ['a.jpg', 'b.jpg']) writeFileSync(join(folder, name), 'no picture');
  const network = await openFeatureNetwork(file);
  const told: string[] = [];
  const bad = datasetFeatures(network, await openData(folder), { onWarning: (m) => told.push(m) });
  await t.throwsAsync(bad, { code: 'ERR_PROTEA_DATA', message: /no image can be read/ });
  t.is(told.length, 2);
});
