import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TrainConfig, Trainer, writeAtomic } from '../train/index.js';

/** Steps by which the speed of a method is measured, the first of them not counted. */
const measuredSteps = 12;

/** How many steps fill `seconds`; measured in a run that is thrown away. */
async function stepsFor(config: TrainConfig, out: string, seconds: number): Promise<number> {
  const few = { ...config, optim: { ...config.optim, steps: measuredSteps + 1 } };
  const trainer = await Trainer.open({ ...few, run: { ...few.run, logEvery: 1 } }, out, {
    overwrite: true,
  });
  const times: number[] = [];
  try {
    for await (const { event } of trainer.run()) {
      if (event === 'step') times.push(performance.now());
      if (times.length > measuredSteps) break;
    }
  } finally {
    await trainer.close();
  }
  const each = (times.at(-1)! - times[0]!) / 1000 / (times.length - 1);
  return Math.max(1, Math.round(seconds / each));
}

/** The config with as many steps as fill `seconds`: measured once in `speed` and kept in the run's `folder`. */
export async function withBudget(
  config: TrainConfig,
  seconds: number,
  { folder, speed }: { folder: string; speed: string },
): Promise<TrainConfig> {
  const file = join(folder, 'steps.json');
  await mkdir(folder, { recursive: true });
  if (!existsSync(file)) {
    const steps = await stepsFor(config, speed, seconds);
    await writeAtomic(file, JSON.stringify({ steps, seconds }));
  }
  const { steps } = JSON.parse(await readFile(file, 'utf8')) as { steps: number };
  return { ...config, optim: { ...config.optim, steps } };
}
