import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openData } from '../../lib/data/index.js';
import { encodeNpy } from '../../lib/formats/npy.js';
import { checkpointPage, diagnoseCheckpoint, trendOf } from '../../lib/inspect/index.js';
import { normals, vitConfig, vitParameters } from '../../lib/nn/index.js';
import { temporaryFolder } from '../support/folder.js';
import { sharedPath, testWith } from '../support/shared.js';
import { finalCheckpoint, train } from '../support/small-run.js';
import { floats, Namespace, torchZip, writePieces } from '../support/torch-writer.js';

const K = 48;
const P = 16;

let key = 0;
const random = (shape: number[], scale = 0.1) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return floats(
    String(key++),
    normals(1, key, 0, size).map((v) => v * scale),
    shape,
  );
};

/** Prototypes of which every third is a copy of the first. */
function copied() {
  const values = normals(2, 0, 0, K * P);
  for (let k = 0; k < K; k += 3) values.copyWithin(k * P, 0, P);
  return floats(String(key++), values, [K, P]);
}

/** An official iBOT checkpoint in small: both heads of the teacher share their prototypes. */
function ibot(path: string): void {
  const config = vitConfig('vit-nano', { imageSize: 32, patchSize: 8 });
  const shared = copied();
  const teacher = new Map<string, unknown>(
    vitParameters(config).map(({ name, shape }) => [`backbone.${name}`, random([...shape])]),
  );
  for (const [i, [outputs, inputs]] of [
    [32, 64],
    [32, 32],
    [P, 32],
  ].entries()) {
    teacher.set(`head.mlp.${2 * i}.weight`, random([outputs!, inputs!]));
    teacher.set(`head.mlp.${2 * i}.bias`, random([outputs!]));
  }
  teacher.set('head.last_layer.weight_g', random([K, 1], 1));
  teacher.set('head.last_layer.weight_v', shared);
  teacher.set('head.last_layer2.weight_v', shared);
  const args = new Namespace({ arch: 'vit_nano', teacher_temp: 0.07 });
  const ibot_loss = new Map([
    ['center', random([1, K])],
    ['center2', random([1, 1, K])],
  ]);
  writePieces(path, torchZip({ teacher, epoch: 3, args, ibot_loss }));
}

test('an official checkpoint: heads, images, page', async (t) => {
  const path = join(temporaryFolder(t), 'checkpoint.pth');
  ibot(path);
  const data = await openData('flora:images=40,classes=4,size=40');
  const found = await diagnoseCheckpoint(path, { data, page: true });
  const { report, judged } = found;
  t.like(report, { format: 'torch', epoch: 3 });
  t.is(report.heads.length, 1);
  t.like(judged, {
    name: 'teacher.head.last_layer.weight_v',
    network: 'teacher',
    shared: ['teacher.head.last_layer2.weight_v'],
    total: K,
    unique: K - K / 3 + 1,
  });
  t.is(judged.kappa!.temperature, 0.07);
  t.like(judged.mlcd, { images: 40, temperature: 0.07, centred: true });
  t.true(judged.mlcd!.nmi! >= 0 && judged.mlcd!.nmi! <= 1);
  t.true(judged.mlcd!.all.entropy >= judged.mlcd!.unique.entropy);
  const page = checkpointPage([found]);
  t.regex(page, /33 of 48 prototypes are distinct at 0\.025; the largest group holds 16 copies/);
  for (const part of [
    'Redundancy',
    'against epsilon',
    'MLCD',
    't-SNE',
    'Largest groups',
    'data:image/jpeg',
  ])
    t.true(page.includes(part), part);
  t.false(/<script|https?:|NaN|undefined/.test(page), 'the page stands alone');
});

test('a run: the MLCD is that of its own monitor; several checkpoints make a trend', async (t) => {
  const out = temporaryFolder(t);
  const events = await train(out, 10, ['run.keep=4', 'eval.maxImages=48']);
  const end = events.at(-1)!;
  const { name } = finalCheckpoint(out);
  const data = await openData('flora:images=48,classes=3,size=20');
  const path = join(out, 'checkpoints', name);
  const { report, judged } = await diagnoseCheckpoint(path, { data });
  t.is(report.step, 10);
  t.true(end.event === 'end' && end.mlcd !== null);
  if (end.event === 'end') {
    t.is(judged.unique, end.prototypes.unique);
    t.true(Math.abs(judged.mlcd!.all.entropy - end.mlcd!.all.entropy) < 1e-4);
    t.true(Math.abs(judged.mlcd!.unique.entropy - end.mlcd!.unique.entropy) < 1e-4);
  }
  const before = await diagnoseCheckpoint(path.replace('00000010', '00000005'));
  const trend = trendOf([before.report, report]);
  t.deepEqual(
    trend.map(({ head, points }) => [head, points.map(({ step }) => step)]),
    [
      ['student.head.last_layer.weight_v', [5, 10]],
      ['teacher.head.last_layer.weight_v', [5, 10]],
    ],
  );
  t.regex(
    checkpointPage([before, await diagnoseCheckpoint(path, { page: true })]),
    /Over training/,
  );
});

testWith('golden/checkpoint', 'the small official checkpoint of the vectors', async (t) => {
  const path = sharedPath('golden', 'checkpoint', 'dino_full.pth');
  const data = await openData('flora:images=16,classes=2,size=24');
  const { report, judged } = await diagnoseCheckpoint(path, { data });
  t.is(report.verdict, 'all 20 prototypes are distinct at 0.025: no partial collapse');
  t.is(report.heads.length, 2);
  t.like(judged, { network: 'teacher', total: 20, dim: 16 });
  t.like(judged.mlcd, { images: 16, centred: true });
});

test('a matrix of numpy; images without a network are refused', async (t) => {
  const path = join(temporaryFolder(t), 'w.npy');
  writeFileSync(path, encodeNpy(normals(5, 0, 0, 40), [10, 4]));
  const { report } = await diagnoseCheckpoint(path);
  t.like(report, { format: 'npy', heads: [{ total: 10, dim: 4, mlcd: null }] });
  const data = await openData('flora:images=4,classes=2,size=16');
  await t.throwsAsync(diagnoseCheckpoint(path, { data }), {
    code: 'ERR_PROTEA_UNSUPPORTED',
    message: /has no vision transformer/,
  });
});

test('a head that has diverged is named', async (t) => {
  const path = join(temporaryFolder(t), 'w.npy');
  const bytes = Buffer.from(encodeNpy(new Float32Array(8).fill(1), [4, 2]));
  bytes.writeFloatLE(Number.NaN, bytes.length - 4);
  writeFileSync(path, bytes);
  const error = await t.throwsAsync(diagnoseCheckpoint(path), { code: 'ERR_PROTEA_NUMERIC' });
  t.regex(error!.message, /w\.npy: array: 1 of 8 numbers are not finite, the first in row 3/);
  t.is(readFileSync(path).length, bytes.length);
});
