// A run on the GPU, or on an emulated one, against the same run on the CPU.
import { join } from 'node:path';
import test from 'ava';
import { gpu, useDevice } from '../../lib/tensor/index.js';
import type { StepEvent } from '../../lib/train/index.js';
import { temporaryFolder } from '../support/folder.js';
import { finalCheckpoint, train } from '../support/small-run.js';

const title = 'a run on cuda takes the losses of one on the cpu, and goes on bit for bit';
const body = gpu().ready ? test : test.skip;
const steps = 4;
const settings = (device: string) => [
  `run.device=${device}`,
  'run.logEvery=1',
  'run.checkpointEvery=2',
  'crops.local=1',
  'optim.batch=4',
];

body(gpu().ready ? title : `${title} (needs a GPU: ${gpu().reason})`, async (t) => {
  t.timeout(600_000);
  const folder = temporaryFolder(t);
  const losses = async (device: string) => {
    const events = await train(join(folder, device), steps, settings(device));
    const found = events.filter((event): event is StepEvent => event.event === 'step');
    return found.map((event) => [event.loss, ...Object.values(event.losses), event.gradientNorm]);
  };
  const [cpu, cuda] = [await losses('cpu'), await losses('cuda')];
  t.is(cuda.length, cpu.length);
  for (const [i, row] of cpu.entries())
    for (const [j, value] of row.entries()) {
      const bound = 1e-3 * Math.abs(value) + 1e-4;
      t.true(Math.abs(cuda[i]![j]! - value) <= bound, `step ${i}: ${cuda[i]![j]} and ${value}`);
    }
  const parts = join(folder, 'parts');
  await train(parts, steps, settings('cuda'), 2);
  await train(parts, steps, settings('cuda'));
  t.deepEqual(finalCheckpoint(parts), finalCheckpoint(join(folder, 'cuda')));
  useDevice('cpu');
});
