import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TrainConfig, Trainer, writeAtomic } from '../train/index.js';

/** What the speed of a method is measured by, after its first step: as many steps, and as long, at least. */
const measured = { steps: 12, seconds: 4 };

export interface Budget {
  /** Seconds of training. */
  seconds: number;
  /** Folder of the run that measures. */
  speed: string;
  signal?: AbortSignal | undefined;
}

/** How many steps fill `seconds`, measured in a run that is thrown away; undefined when stopped. */
async function stepsFor(
  config: TrainConfig,
  { seconds, speed, signal }: Budget,
): Promise<number | undefined> {
  const long = { ...config, optim: { ...config.optim, steps: 100_000 } };
  const trainer = await Trainer.open({ ...long, run: { ...long.run, logEvery: 1 } }, speed, {
    overwrite: true,
  });
  const times: number[] = [];
  const passed = () => (times.at(-1)! - times[0]!) / 1000;
  try {
    for await (const { event } of trainer.run(signal ? { signal } : {})) {
      if (event === 'step') times.push(performance.now());
      if (times.length > measured.steps && passed() >= measured.seconds) break;
    }
  } finally {
    await trainer.close();
  }
  if (signal?.aborted) return undefined;
  return Math.max(1, Math.round((seconds * (times.length - 1)) / passed()));
}

/**
 * The config with as many steps as fill `seconds`: measured once in `speed` and kept in the run's
 * `folder`; undefined when it was stopped before it was known.
 */
export async function withBudget(
  config: TrainConfig,
  folder: string,
  budget: Budget,
): Promise<TrainConfig | undefined> {
  const file = join(folder, 'steps.json');
  const of = (steps: number) => ({ ...config, optim: { ...config.optim, steps } });
  await mkdir(folder, { recursive: true });
  const known = await measuredSteps(file);
  if (known?.seconds === budget.seconds) return of(known.steps);
  const steps = await stepsFor(config, budget);
  if (!steps) return undefined;
  await writeAtomic(file, JSON.stringify({ steps, seconds: budget.seconds }));
  return of(steps);
}

async function measuredSteps(
  file: string,
): Promise<{ steps: number; seconds: number } | undefined> {
  return existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : undefined;
}
