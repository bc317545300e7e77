// Checkpoints of DINOv2 and iBOT in small: blocks in chunks, tied heads.
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openData } from '../../lib/data/index.js';
import { diagnoseCheckpoint } from '../../lib/inspect/index.js';
import { temporaryFolder } from '../support/folder.js';
import { at, config, K, layers, numbersOf, P, random, vit } from '../support/small-networks.js';
import { finalCheckpoint, train } from '../support/small-run.js';
import { Namespace, torchZip, writePieces } from '../support/torch-writer.js';

/** DINOv2's names: block i of `each` in a chunk is blocks.<chunk>.<i>, numbered through. */
const chunked = (each: number) => (name: string) =>
  name.replace(/^blocks\.(\d+)/, (_, i) => `blocks.${Math.floor(Number(i) / each)}.${i}`);

test('blocks in chunks are the same network', async (t) => {
  const folder = temporaryFolder(t);
  const data = await openData('flora:images=12,classes=3,size=40');
  const head = layers([['dino_head.mlp.0'], ['dino_head.mlp.2']]);
  const plain = vit('backbone.');
  const last = [
    ['dino_head.last_layer.weight_g', at(new Float32Array(K).fill(1), [K, 1])],
    ['dino_head.last_layer.weight_v', random([K, P], 1)],
  ] as const;
  const seen = async (name: string, rename: (name: string) => string) => {
    const path = join(folder, name);
    const backbone = plain.map(
      ([key, value]) =>
        [key.replace(/^backbone\.(.*)/, (_, own) => `backbone.${rename(own)}`), value] as const,
    );
    writePieces(
      path,
      torchZip({ teacher: new Map<string, unknown>([...backbone, ...head, ...last]) }),
    );
    const { judged } = await diagnoseCheckpoint(path, { data });
    return judged.mlcd;
  };
  const expected = await seen('plain.pth', (name) => name);
  t.is(expected!.images, 12);
  for (const each of [1, 2, config.depth])
    t.deepEqual(await seen(`chunks-${each}.pth`, chunked(each)), expected, `${each} in a chunk`);
});

/** An iBOT checkpoint of student and teacher, whose second heads are the first ones or their own. */
function ibot(path: string, tied: boolean): void {
  const network = () => {
    const [g, v] = [at(new Float32Array(K).fill(1), [K, 1]), random([K, P], 1)];
    const second = numbersOf(v);
    for (let k = 0; k < K; k += 2) second.copyWithin(k * P, 0, P);
    return new Map<string, unknown>([
      ...vit('backbone.'),
      ...layers([['head.mlp.0'], ['head.mlp.2'], ['head.mlp.4']]),
      ['head.last_layer.weight_g', g],
      ['head.last_layer.weight_v', v],
      ['head.last_layer2.weight_g', tied ? g : at(new Float32Array(K).fill(1), [K, 1])],
      ['head.last_layer2.weight_v', tied ? v : at(second, [K, P])],
    ]);
  };
  const args = new Namespace({ arch: 'vit_nano', shared_head: tied });
  writePieces(path, torchZip({ student: network(), teacher: network(), epoch: 1, args }));
}

const headsOf = async (t: ExecutionContext, tied: boolean) => {
  const path = join(temporaryFolder(t), 'checkpoint.pth');
  ibot(path, tied);
  const data = await openData('flora:images=8,classes=2,size=40');
  return diagnoseCheckpoint(path, { data });
};

test('tied heads of iBOT are one, under the name of the first', async (t) => {
  const { report, judged } = await headsOf(t, true);
  t.deepEqual(
    report.heads.map(({ name, shared, unique }) => [name, shared, unique]),
    ['student', 'teacher'].map((whose) => [
      `${whose}.head.last_layer.weight_v`,
      [`${whose}.head.last_layer2.weight_v`],
      K,
    ]),
  );
  t.is(judged.name, 'teacher.head.last_layer.weight_v');
  t.is(judged.mlcd!.images, 8);
});

test('heads of iBOT that are two: the worse is judged, images go to the one of CLS tokens', async (t) => {
  const { report, judged } = await headsOf(t, false);
  t.is(report.heads.length, 4);
  t.is(judged.name, 'teacher.head.last_layer2.weight_v');
  t.is(judged.unique, K / 2 + 1);
  t.is(judged.mlcd, null);
  const first = report.heads.find(({ name }) => name === 'teacher.head.last_layer.weight_v')!;
  t.is(first.mlcd!.images, 8);
});

test('a run of msn is shown images, its batch norm by their statistics', async (t) => {
  const out = join(temporaryFolder(t), 'run');
  await train(out, 2, ['crops.local=2'], undefined, 'msn-tiny');
  const data = await openData('flora:images=12,classes=3,size=20');
  const path = join(out, 'checkpoints', finalCheckpoint(out).name);
  const { judged } = await diagnoseCheckpoint(path, { data });
  t.is(judged.name, 'teacher.head.prototypes');
  t.true(judged.mlcd!.batchStatistics);
  t.is(judged.mlcd!.images, 12);
});
