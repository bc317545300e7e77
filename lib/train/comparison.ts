// Every method on the same images: one run each, and one table.
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openData } from '../data/index.js';
import { type KnnReport, knnOf, knnSplit } from '../eval/index.js';
import type { TrainConfig } from './config.js';
import { loadConfig } from './config-file.js';
import type { EndEvent, TrainEvent } from './events.js';
import { writeAtomic } from './files.js';
import { featureOptions, freshMethod } from './model.js';
import { Trainer } from './trainer.js';

export interface ComparisonOptions {
  /** Presets to train, in order. */
  presets: readonly string[];
  /** "key.sub=value" on top of each preset. */
  overrides: readonly string[];
  /** Folder: one run in it for each preset. */
  out: string;
  /** Seconds of training for each, instead of the presets' steps. */
  secondsEach?: number | undefined;
  signal?: AbortSignal;
  onEvent?: (preset: string, event: TrainEvent) => void;
}

/** What one run came to. */
export interface ComparisonRow {
  preset: string;
  steps: number;
  knn: KnnReport;
  /** The same network before training. */
  untrained: KnnReport;
  prototypes: { total: number; unique: number };
  /** Entropies of the MLCD in nats: over all prototypes, over unique ones, and what was possible. */
  mlcd: { all: number; unique: number; most: number };
  imagesPerSecond: number;
}

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

/** The config of a preset's run; the number of steps is settled once and kept with the run. */
async function settled(preset: string, options: ComparisonOptions): Promise<TrainConfig> {
  const config = await loadConfig({ preset, overrides: options.overrides });
  if (!options.secondsEach) return config;
  const folder = join(options.out, preset);
  const file = join(folder, 'steps.json');
  await mkdir(folder, { recursive: true });
  if (!existsSync(file)) {
    const speed = join(options.out, 'speed');
    const steps = await stepsFor(config, speed, options.secondsEach);
    await writeAtomic(file, JSON.stringify({ steps, seconds: options.secondsEach }));
  }
  const { steps } = JSON.parse(await readFile(file, 'utf8')) as { steps: number };
  return { ...config, optim: { ...config.optim, steps } };
}

/** kNN of the network before training. */
async function untrained(config: TrainConfig): Promise<KnnReport | null> {
  const { data, eval: options } = config;
  const train = await openData(data.source, { labels: data.labels ?? undefined });
  const test = data.test ? await openData(data.test) : undefined;
  const split = knnSplit(train, test, options.maxImages);
  if (!split) return null;
  const { backbone } = freshMethod(config).method.teacher;
  return knnOf(backbone, split, featureOptions(config), { k: options.k });
}

/** Trains one preset, or goes on with it; undefined when it was stopped. */
async function trained(
  preset: string,
  config: TrainConfig,
  { out, signal, onEvent }: ComparisonOptions,
): Promise<EndEvent | undefined> {
  const trainer = await Trainer.open(config, join(out, preset));
  let end: EndEvent | undefined;
  try {
    for await (const event of trainer.run(signal ? { signal } : {})) {
      onEvent?.(preset, event);
      if (event.event === 'end') end = event;
    }
  } finally {
    await trainer.close();
  }
  return end?.complete ? end : undefined;
}

const none: KnnReport = { k: 0, top1: Number.NaN, top5: Number.NaN };

function rowOf(preset: string, end: EndEvent, before: KnnReport | null): ComparisonRow {
  const { total, unique } = end.prototypes;
  return {
    preset,
    steps: end.steps,
    knn: end.knn ?? none,
    untrained: before ?? none,
    prototypes: { total, unique },
    mlcd: {
      all: end.mlcd?.all.entropy ?? Number.NaN,
      unique: end.mlcd?.unique.entropy ?? Number.NaN,
      most: Math.log(total),
    },
    imagesPerSecond: end.imagesPerSecond,
  };
}

/**
 * Trains each preset on the same images and yields what came of it. Runs that are finished are read,
 * not made again, and one that was stopped goes on: the same call again completes the comparison.
 */
export async function* compareMethods(options: ComparisonOptions): AsyncGenerator<ComparisonRow> {
  await mkdir(options.out, { recursive: true });
  for (const preset of options.presets) {
    const file = join(options.out, preset, 'result.json');
    if (existsSync(file)) {
      yield JSON.parse(await readFile(file, 'utf8')) as ComparisonRow;
      continue;
    }
    if (options.signal?.aborted) return;
    const config = await settled(preset, options);
    const end = await trained(preset, config, options);
    if (!end) return;
    const row = rowOf(preset, end, await untrained(config));
    await writeAtomic(file, JSON.stringify(row));
    yield row;
  }
}

/** The rows as a Markdown table. */
export function comparisonTable(rows: readonly ComparisonRow[]): string {
  const lines = rows.map(({ preset, steps, knn, untrained: before, prototypes, mlcd, ...row }) =>
    [
      `\`${preset}\``,
      steps,
      knn.top1.toFixed(1),
      before.top1.toFixed(1),
      `${prototypes.unique} of ${prototypes.total}`,
      `${mlcd.all.toFixed(2)} of ${mlcd.most.toFixed(2)}`,
      mlcd.unique.toFixed(2),
      row.imagesPerSecond.toFixed(0),
    ].join(' | '),
  );
  const head =
    'preset | steps | kNN | untrained | unique | MLCD entropy | over unique | images / s';
  return [head, head.replace(/[^|]+/g, '---'), ...lines].map((line) => `| ${line} |`).join('\n');
}
