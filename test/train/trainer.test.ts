import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openData } from '../../lib/data/index.js';
import type { DeviceName } from '../../lib/tensor/index.js';
import { loadConfig, Trainer } from '../../lib/train/index.js';
import { loaderOf } from '../../lib/train/loading.js';
import { temporaryFolder } from '../support/folder.js';
import { sharedPath, testWith } from '../support/shared.js';
import { smallConfig, smallOverrides, train } from '../support/small-run.js';

test.serial('a run tells of steps, diagnoses, checkpoints and its end', async (t) => {
  const out = join(temporaryFolder(t), 'run');
  const events = await train(out, 12);
  const kinds = new Set(events.map(({ event }) => event));
  t.deepEqual([...kinds].sort(), ['checkpoint', 'diagnosis', 'end', 'start', 'step']);
  const end = events.at(-1)!;
  t.like(end, { event: 'end', steps: 12, complete: true });
  if (end.event !== 'end') return;
  t.is(end.prototypes.total, 64);
  t.truthy(end.knn);
  t.truthy(end.mlcd);
  for (const path of [
    end.checkpoint,
    end.report,
    join(out, 'config.yaml'),
    join(out, 'metrics.jsonl'),
  ])
    t.true(existsSync(path), path);
  t.false(existsSync(join(out, 'run.lock')));
  t.regex(readFileSync(end.report, 'utf8'), /unique prototypes/);
});

test.serial('the loss falls', async (t) => {
  const extra = ['run.logEvery=1', 'optim.lr=0.003', 'optim.momentum=0.9', 'crops.colour=0'];
  const events = await train(join(temporaryFolder(t), 'run'), 120, extra);
  const losses = events.flatMap((e) => (e.event === 'step' ? [e.losses.dino!] : []));
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  const start = mean(losses.slice(20, 40));
  t.true(mean(losses.slice(-20)) < start, `${mean(losses.slice(-20))} after ${start}`);
});

test.serial('a finished run, started again, only reports', async (t) => {
  const out = join(temporaryFolder(t), 'run');
  await train(out, 6);
  const again = await train(out, 6);
  t.false(again.some(({ event }) => event === 'step'));
  t.like(again.at(-1), { event: 'end', complete: true, steps: 6 });
});

test.serial('a run with other settings in the same folder is refused', async (t) => {
  const out = join(temporaryFolder(t), 'run');
  await train(out, 4);
  await t.throwsAsync(train(out, 5), { code: 'ERR_PROTEA_CONFIG', message: /other settings/ });
  const trainer = await Trainer.open(await smallConfig(5), out, { overwrite: true });
  await trainer.close();
});

test.serial('a precision that the CPU does not have is refused', async (t) => {
  const settings = ['run.device=cpu', 'run.precision=bf16'];
  await t.throwsAsync(train(join(temporaryFolder(t), 'run'), 2, settings), {
    code: 'ERR_PROTEA_CONFIG',
    message: /The CPU computes in f32/,
  });
});

test.serial('a folder is held by one process', async (t) => {
  const out = join(temporaryFolder(t), 'run');
  await train(out, 2);
  writeFileSync(join(out, 'run.lock'), String(process.ppid));
  await t.throwsAsync(train(out, 2), { code: 'ERR_PROTEA_RUN_LOCKED' });
  writeFileSync(join(out, 'run.lock'), '999999999');
  await t.notThrowsAsync(train(out, 2), 'a lock whose process is gone is taken over');
});

test.serial('a loss that is not finite stops the run and changes nothing', async (t) => {
  const out = join(temporaryFolder(t), 'run');
  const extra = [
    'optim.lr=1e30',
    'optim.warmup=0',
    'run.checkpointEvery=1',
    'optim.freezeLastLayer=0',
  ];
  await t.throwsAsync(train(out, 30, extra), {
    code: 'ERR_PROTEA_NUMERIC',
    message: /not finite at step \d+ \(\w+ (NaN|-?Infinity), /,
  });
});

test.serial('timers fire while a step runs', async (t) => {
  const config = await loadConfig({
    overrides: smallOverrides(3, ['model.size=vit-mini', 'optim.batch=32', 'crops.globalSize=32']),
  });
  const trainer = await Trainer.open(config, join(temporaryFolder(t), 'run'));
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const began = performance.now();
  for await (const event of trainer.run()) if (event.event === 'step') break;
  const took = performance.now() - began;
  clearInterval(timer);
  await trainer.close();
  t.true(ticks >= took / 50, `${ticks} ticks in ${took.toFixed(0)} ms`);
});

testWith('data/hostile', 'a folder of hostile files still trains', async (t) => {
  const extra = [`data.source=${sharedPath('data/hostile')}`, 'optim.batch=4'];
  const events = await train(join(temporaryFolder(t), 'run'), 6, extra);
  t.like(events.at(-1), { event: 'end', complete: true });
  t.true(events.some((e) => e.event === 'warning' && e.message.includes('zero_bytes.jpg')));
});

test('crops are made on a GPU when the run is there, or where the config says', async (t) => {
  const data = await openData('flora:images=48,classes=3,size=20');
  const drawn = async (augment: string, device: DeviceName) => {
    const config = await smallConfig(2, [`data.augment=${augment}`]);
    const { pixels } = await loaderOf(config, data, device, () => undefined).batch(0, 0);
    return pixels !== undefined;
  };
  t.false(await drawn('auto', 'cpu'));
  t.true(await drawn('auto', 'cuda'));
  t.true(await drawn('device', 'cpu'));
  t.false(await drawn('cpu', 'cuda'));
  await t.throwsAsync(smallConfig(2, ['data.augment=gpu']), {
    code: 'ERR_PROTEA_CONFIG',
    message: /data.augment/,
  });
});
