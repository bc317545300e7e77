// A run that was stopped or killed ends with the bytes of one that was not.
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../lib/native.js';
import { temporaryFolder } from '../support/folder.js';
import { finalCheckpoint, smallFor, smallOverrides, train } from '../support/small-run.js';

const workers = [1, 2, 4];

test.serial('stopped at each of the first 30 steps, with 1, 2 and 4 workers', async (t) => {
  const folder = temporaryFolder(t);
  await train(join(folder, 'whole'), 32);
  const whole = finalCheckpoint(join(folder, 'whole'));
  for (let stop = 1; stop <= 30; stop++) {
    const out = join(folder, `stopped-${stop}`);
    const extra = [`data.workers=${workers[stop % 3]}`, 'run.logEvery=1'];
    const stopped = await train(out, 32, extra, stop);
    t.like(stopped.at(-1), { event: 'end', complete: false, steps: stop });
    const resumed = await train(out, 32, [`data.workers=${workers[(stop + 1) % 3]}`]);
    t.like(resumed[0], { event: 'start', step: stop });
    const { name, bytes } = finalCheckpoint(out);
    t.is(name, whole.name);
    t.true(bytes.equals(whole.bytes), `stopped after step ${stop}`);
  }
});

/** Starts the command, kills it after a while; true when it ended by itself before. */
function killedAfter(milliseconds: number, out: string, steps: number): Promise<boolean> {
  const main = join(packageRoot(), 'dist', 'lib', 'cli', 'main.js');
  const args = [
    main,
    'train',
    '--json',
    '--out',
    out,
    ...smallOverrides(steps, ['run.checkpointEvery=2']),
  ];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds);
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

test.serial(
  'killed 25 times at any moment, the same command ends with the same bytes',
  async (t) => {
    const folder = temporaryFolder(t);
    const [whole, killed] = [join(folder, 'whole'), join(folder, 'killed')];
    const steps = 400;
    t.true(await killedAfter(600_000, whole, steps));
    let random = 12345;
    let kills = 0;
    let ended = false;
    while (kills < 25 && !ended) {
      random = (random * 48271) % 2147483647;
      ended = await killedAfter(250 + (random % 900), killed, steps);
      if (!ended) kills++;
    }
    t.log(`${kills} kills`);
    t.true(ended || kills === 25);
    if (!ended) t.true(await killedAfter(600_000, killed, steps));
    t.true(finalCheckpoint(killed).bytes.equals(finalCheckpoint(whole).bytes));
    const left = readdirSync(join(killed, 'checkpoints')).filter((name) => name.includes('.tmp'));
    t.deepEqual(left, []);
    const lines = readFileSync(join(killed, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const logged = lines.map((line) => JSON.parse(line)).filter((line) => 'train/loss' in line);
    const numbers = logged.map((line) => line._step);
    t.deepEqual(numbers, [...new Set(numbers)], 'no step is logged twice');
  },
);

test.serial('a half-written checkpoint is never picked up, and is swept', async (t) => {
  const out = join(temporaryFolder(t), 'run');
  await train(out, 20, [], 12);
  const { name, bytes } = finalCheckpoint(out);
  const folder = join(out, 'checkpoints');
  truncateSync(join(folder, name), bytes.length - 100);
  writeFileSync(join(folder, 'step-00000099.safetensors.tmp-1'), 'half');
  appendFileSync(join(out, 'metrics.jsonl'), '{"_step": 12, "train/');
  const events = await train(out, 20);
  t.true(events.some((e) => e.event === 'warning' && e.message.includes(name)));
  t.like(events[0], { step: 10 });
  t.false(existsSync(join(folder, 'step-00000099.safetensors.tmp-1')));
  const whole = join(temporaryFolder(t), 'whole');
  await train(whole, 20);
  t.true(finalCheckpoint(out).bytes.equals(finalCheckpoint(whole).bytes));
});

test.serial('goes on exactly wherever crops are made', async (t) => {
  const folder = temporaryFolder(t);
  await train(join(folder, 'whole'), 12, ['data.augment=cpu']);
  const out = join(folder, 'stopped');
  await train(out, 12, ['data.augment=device', 'run.logEvery=1'], 7);
  await train(out, 12, ['data.augment=cpu', 'run.logEvery=1'], 9);
  await train(out, 12, ['data.augment=device', 'data.workers=4']);
  t.true(finalCheckpoint(out).bytes.equals(finalCheckpoint(join(folder, 'whole')).bytes));
});

/** Presets and settings that between them have every kind of state: centres, mixtures, own clusters. */
const states: [preset: string, extra: string[]][] = [
  ['dino-vmf-tiny', []],
  ['dino-tiny', ['loss.targets=sinkhorn', 'optim.freeze=rate', 'optim.freezeLastLayer=0.5']],
  ['dino-tiny', ['loss.targets=none', 'head.layer=linear']],
  ['dino-gmm-tiny', []],
  ['ibot-kp-tiny', ['head.patches=prototypes', 'head.patchPrototypes=32']],
  ['ibot-vmf-gmm-tiny', ['head.patches=separate', 'loss.targets=log-probability-centering']],
  ['dinov2-tiny', ['head.patches=separate', 'mask.kind=random']],
  ['dino-kp-tiny', ['head.learning=clustering', 'loss.targets=sinkhorn']],
  ['msn-tiny', []],
  ['capi-tiny', []],
];

for (const [preset, given] of states)
  test.serial(`goes on exactly: ${[preset, ...given].join(' ')}`, async (t) => {
    const folder = temporaryFolder(t);
    const extra = [...smallFor(preset), 'run.logEvery=1', ...given];
    const forever = Number.POSITIVE_INFINITY;
    await train(join(folder, 'whole'), 12, extra, forever, preset);
    const out = join(folder, 'stopped');
    await train(out, 12, [...extra, 'data.workers=1'], 7, preset);
    const events = await train(out, 12, [...extra, 'data.workers=3'], forever, preset);
    t.like(events[0], { event: 'start', step: 7 });
    t.true(finalCheckpoint(out).bytes.equals(finalCheckpoint(join(folder, 'whole')).bytes));
  });
