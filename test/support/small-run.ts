import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig, type TrainEvent, Trainer } from '../../lib/train/index.js';

/** Settings of a run of a few milliseconds a step. */
export const smallOverrides = (steps: number, extra: readonly string[] = []) => [
  'data.source=flora:images=48,classes=3,size=20',
  'data.test=null',
  'crops.globalSize=16',
  'crops.localSize=8',
  'crops.local=2',
  'crops.blur=[1, 0.1, 0.5]',
  'model.dropPath=0.1',
  'head.prototypes=64',
  'head.hiddenDim=32',
  'head.bottleneckDim=16',
  'optim.batch=8',
  `optim.steps=${steps}`,
  'run.logEvery=4',
  'run.diagnoseEvery=10',
  'run.checkpointEvery=5',
  'eval.maxImages=24',
  ...extra,
];

export const smallConfig = (steps: number, extra: readonly string[] = [], preset?: string) =>
  loadConfig({ preset, overrides: smallOverrides(steps, extra) });

/** What the small run must change for a preset besides. */
export const smallFor = (preset: string): string[] =>
  preset.startsWith('capi') ? ['crops.local=0', 'head.bottleneckDim=64'] : [];

/** Trains until the end, or stops after the step `until`. */
export async function train(
  out: string,
  steps: number,
  extra: readonly string[] = [],
  until = Number.POSITIVE_INFINITY,
  preset?: string,
): Promise<TrainEvent[]> {
  const trainer = await Trainer.open(await smallConfig(steps, extra, preset), out);
  const controller = new AbortController();
  const events: TrainEvent[] = [];
  try {
    for await (const event of trainer.run({ signal: controller.signal })) {
      events.push(event);
      if (event.event === 'step' && event.step >= until) controller.abort();
    }
  } finally {
    await trainer.close();
  }
  return events;
}

/** Name and bytes of the newest checkpoint. */
export function finalCheckpoint(out: string): { name: string; bytes: Buffer } {
  const folder = join(out, 'checkpoints');
  const name = readdirSync(folder).sort().at(-1)!;
  return { name, bytes: readFileSync(join(folder, name)) };
}
