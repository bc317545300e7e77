// What a run does to its folder, and what others may do beside it.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newestCheckpoint, readCheckpoint, Trainer } from '../../lib/train/index.js';
import { temporaryFolder } from '../support/folder.js';
import { finalCheckpoint, smallConfig, train } from '../support/small-run.js';

const folderOf = (t: ExecutionContext) => join(temporaryFolder(t), 'run');

test.serial('a run that is going on can be looked at', async (t) => {
  const out = folderOf(t);
  await train(out, 2);
  const half = join(out, 'checkpoints', 'step-00000003.safetensors.tmp-7');
  writeFileSync(half, 'on its way');
  const found = await newestCheckpoint(join(out, 'checkpoints'), t.fail);
  t.is(found!.meta.step, 2);
  t.true(existsSync(half), 'what another process writes is left alone');
});

test.serial('overwriting removes a run, not the files of others', async (t) => {
  const out = folderOf(t);
  await train(out, 2);
  const others = ['checkpoints/mine.pth', 'report/paper.tex', 'notes.txt'].map((n) => join(out, n));
  for (const path of others) writeFileSync(path, 'mine');
  const trainer = await Trainer.open(await smallConfig(3), out, { overwrite: true });
  await trainer.close();
  for (const path of others) t.true(existsSync(path), path);
  t.is(await newestCheckpoint(join(out, 'checkpoints'), t.fail), undefined);
  t.is(readFileSync(join(out, 'metrics.jsonl'), 'utf8'), '');
});

test.serial('settings that differ are named; how a run is judged may change', async (t) => {
  const out = folderOf(t);
  await train(out, 2);
  await t.throwsAsync(train(out, 2, ['optim.lr=0.5', 'crops.local=1']), {
    code: 'ERR_PROTEA_CONFIG',
    message: /crops\.local \(2 there, 1 here\), optim\.lr \(0\.001 there, 0\.5 here\)/,
  });
  const extra = ['data.test=flora:images=12,classes=3,size=20', 'data.maxBadFraction=0.9'];
  t.like((await train(out, 2, extra)).at(-1), { event: 'end', complete: true });
});

test.serial('test images that are missing or without labels are told before a step', async (t) => {
  const folder = temporaryFolder(t);
  const out = join(folder, 'run');
  await t.throwsAsync(train(out, 2, [`data.test=${join(folder, 'nope')}`]), {
    code: 'ERR_PROTEA_DATA',
    message: /nope: no such file/,
  });
  const pictures = join(folder, 'pictures');
  mkdirSync(pictures);
  // Nothing is decoded before the labels are asked for.
  writeFileSync(join(pictures, 'a.png'), 'no picture');
  await t.throwsAsync(train(out, 2, [`data.test=${pictures}`]), {
    code: 'ERR_PROTEA_DATA',
    message: /pictures has no labels/,
  });
  for (const name of ['known', 'unknown']) {
    mkdirSync(join(folder, 'test', name), { recursive: true });
    writeFileSync(join(folder, 'test', name, 'a.png'), 'no picture');
  }
  const extra = ['data.source=flora:images=48,classes=3,size=20', `data.test=${folder}/test`];
  await t.throwsAsync(train(out, 2, extra), { code: 'ERR_PROTEA_DATA', message: /known/ });
  t.false(existsSync(join(out, 'checkpoints')));
});

test.serial('images that changed since the beginning are told of', async (t) => {
  const out = folderOf(t);
  await train(out, 8, [], 4);
  const path = join(out, 'config.yaml');
  writeFileSync(path, readFileSync(path, 'utf8').replace('images=48', 'images=51'));
  const events = await train(out, 8, ['data.source=flora:images=51,classes=3,size=20']);
  t.true(
    events.some((e) => e.event === 'warning' && /51 images, not the 48/.test(e.message)),
    'the number of images',
  );
});

test.serial('a lock names a process, not its number alone', async (t) => {
  const out = folderOf(t);
  await train(out, 2);
  const lock = join(out, 'run.lock');
  writeFileSync(lock, `${process.ppid} 1`);
  await t.notThrowsAsync(train(out, 2), 'another process has its number now');
  writeFileSync(lock, String(process.ppid));
  const error = await t.throwsAsync(train(out, 2), { code: 'ERR_PROTEA_RUN_LOCKED' });
  t.true((error as { hint?: string }).hint!.includes(lock));
  t.false(existsSync(`${lock}.own-${process.pid}`));
});

test.serial(
  'a file in the way, and files that are not there, are errors with a name',
  async (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await t.throwsAsync(train(file, 2), { code: 'ERR_PROTEA_WRITE', message: /in the way/ });
    await t.throwsAsync(readCheckpoint(join(folder, 'none.safetensors')), {
      code: 'ERR_PROTEA_DATA',
      message: /none\.safetensors: no such file/,
    });
  },
);

test.serial('a damaged checkpoint is passed over and told of', async (t) => {
  const out = folderOf(t);
  await train(out, 2);
  const folder = join(out, 'checkpoints');
  const { name } = finalCheckpoint(out);
  copyFileSync(join(folder, name), join(folder, 'step-00000001.safetensors'));
  writeFileSync(join(folder, name), '');
  const told: string[] = [];
  t.is((await newestCheckpoint(folder, (message) => told.push(message)))!.meta.step, 2);
  t.is(told.length, 1);
});
