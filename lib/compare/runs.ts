// Runs on the same images, one after the other: what `methods` and the paper's comparisons are made of.
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KnnReport, LinearReport } from '../eval/index.js';
import {
  checkSameRun,
  type EndEvent,
  loadConfig,
  type TrainConfig,
  type TrainEvent,
  Trainer,
  writeAtomic,
} from '../train/index.js';
import { withBudget } from './budget.js';
import { Judge } from './judge.js';

/** One run of a comparison. */
export interface RunSpec {
  /** Its folder below that of the comparison. */
  name: string;
  preset: string;
  /** "key.sub=value" on top of the preset. */
  overrides: readonly string[];
}

export interface ComparisonOptions {
  /** Runs, in order. */
  runs: readonly RunSpec[];
  /** Folder: one in it for each run. */
  out: string;
  /** Seconds of training for each, instead of the presets' steps. */
  secondsEach?: number | undefined;
  /** Judges by a linear classifier too. @default false */
  linear?: boolean;
  signal?: AbortSignal;
  onEvent?: (run: string, event: TrainEvent) => void;
}

/** What one run came to. */
export interface RunResult {
  run: string;
  preset: string;
  seed: number;
  steps: number;
  /** Null without labels. */
  knn: KnnReport | null;
  /** Null where it was not asked for. */
  linear: LinearReport | null;
  /** The same network before training. */
  untrained: KnnReport | null;
  untrainedLinear: LinearReport | null;
  prototypes: { total: number; unique: number };
  /** Entropies of the MLCD in nats: over all prototypes, over unique ones, and what was possible. */
  mlcd: { all: number; unique: number; most: number } | null;
  imagesPerSecond: number;
}

/** Trains one run, or goes on with it; undefined when it was stopped. */
async function trained(
  name: string,
  config: TrainConfig,
  { out, signal, onEvent }: ComparisonOptions,
): Promise<EndEvent | undefined> {
  const trainer = await Trainer.open(config, join(out, name));
  let end: EndEvent | undefined;
  try {
    for await (const event of trainer.run(signal ? { signal } : {})) {
      onEvent?.(name, event);
      if (event.event === 'end') end = event;
    }
  } finally {
    await trainer.close();
  }
  return end?.complete ? end : undefined;
}

async function resultOf(
  { name, preset }: RunSpec,
  config: TrainConfig,
  end: EndEvent,
  judge: Judge,
): Promise<RunResult> {
  const { total, unique } = end.prototypes;
  const after = await judge.trained(config, end.checkpoint, end.knn);
  const before = await judge.untrained(config);
  return {
    run: name,
    preset,
    seed: config.seed,
    steps: end.steps,
    ...after,
    untrained: before.knn,
    untrainedLinear: before.linear,
    prototypes: { total, unique },
    mlcd: end.mlcd && {
      all: end.mlcd.all.entropy,
      unique: end.mlcd.unique.entropy,
      most: Math.log(total),
    },
    imagesPerSecond: end.imagesPerSecond,
  };
}

/** What a finished run came to. @throws ERR_PROTEA_CONFIG when it had other settings */
async function finished(folder: string, config: TrainConfig): Promise<RunResult | undefined> {
  const file = join(folder, 'result.json');
  if (!existsSync(file)) return undefined;
  await checkSameRun(folder, config);
  return JSON.parse(await readFile(file, 'utf8')) as RunResult;
}

/**
 * Trains each run on the same images and yields what came of it. Runs that are finished are read, not
 * made again, and one that was stopped goes on: the same call again completes the comparison.
 * @throws ERR_PROTEA_CONFIG when the folder holds runs with other settings
 */
export async function* compareRuns(options: ComparisonOptions): AsyncGenerator<RunResult> {
  const { out, secondsEach, signal } = options;
  const judge = new Judge(options.linear ?? false);
  await mkdir(out, { recursive: true });
  for (const spec of options.runs) {
    const folder = join(out, spec.name);
    const plain = await loadConfig({ preset: spec.preset, overrides: spec.overrides });
    const config = secondsEach
      ? await withBudget(plain, folder, { seconds: secondsEach, speed: join(out, 'speed'), signal })
      : plain;
    if (!config) return;
    const known = await finished(folder, config);
    if (!known && signal?.aborted) return;
    const end = known ? undefined : await trained(spec.name, config, options);
    if (!known && !end) return;
    const result = known ?? (await resultOf(spec, config, end!, judge));
    if (!known) await writeAtomic(join(folder, 'result.json'), JSON.stringify(result));
    yield result;
  }
}
