// A run on the GPU, or on an emulated one, against the same run on the CPU.
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { gpu, useDevice } from '../../lib/tensor/index.js';
import type { StepEvent } from '../../lib/train/index.js';
import { temporaryFolder } from '../support/folder.js';
import { finalCheckpoint, train } from '../support/small-run.js';

const title =
  'a run on cuda takes the losses of one on the cpu, wherever crops are made, and goes on bit for bit, as graphs too';
const body = gpu().ready ? test : test.skip;
const steps = 4;
const settings = (device: string) => [
  `run.device=${device}`,
  'run.logEvery=1',
  'run.checkpointEvery=2',
  'crops.local=1',
  'optim.batch=4',
];

/** Losses and gradient norms of a run, step by step. */
async function lossesOf(out: string, extra: string[]): Promise<number[][]> {
  const events = await train(out, steps, extra);
  const found = events.filter((event): event is StepEvent => event.event === 'step');
  return found.map((event) => [event.loss, ...Object.values(event.losses), event.gradientNorm]);
}

function near(t: ExecutionContext, got: number[][], expected: number[][]): void {
  t.is(got.length, expected.length);
  for (const [i, row] of expected.entries())
    for (const [j, value] of row.entries()) {
      const bound = 1e-3 * Math.abs(value) + 1e-4;
      t.true(Math.abs(got[i]![j]! - value) <= bound, `step ${i}: ${got[i]![j]} and ${value}`);
    }
}

body(gpu().ready ? title : `${title} (needs a GPU: ${gpu().reason})`, async (t) => {
  t.timeout(600_000);
  const folder = temporaryFolder(t);
  const cpu = await lossesOf(join(folder, 'cpu'), settings('cpu'));
  near(t, await lossesOf(join(folder, 'cuda'), settings('cuda')), cpu);
  const elsewhere = [...settings('cuda'), 'data.augment=cpu'];
  near(t, await lossesOf(join(folder, 'elsewhere'), elsewhere), cpu);
  await lossesOf(join(folder, 'graphs'), [...settings('cuda'), 'run.graphs=true']);
  t.deepEqual(finalCheckpoint(join(folder, 'graphs')), finalCheckpoint(join(folder, 'cuda')));
  const parts = join(folder, 'parts');
  await train(parts, steps, settings('cuda'), 2);
  await train(parts, steps, settings('cuda'));
  t.deepEqual(finalCheckpoint(parts), finalCheckpoint(join(folder, 'cuda')));
  useDevice('cpu');
});
