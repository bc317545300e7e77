import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { configText, loadConfig, type TrainEvent, writeAtomic } from '../train/index.js';
import { type ExperimentName, experiments, type PaperExperiment } from './experiments.js';
import { comparisonPage } from './page.js';
import { compareRuns, type RunResult } from './runs.js';
import {
  type PlannedRun,
  type PlanOptions,
  plan,
  type Summary,
  summarised,
  summaryTable,
} from './summary.js';

export interface CompareOptions extends PlanOptions {
  experiment: ExperimentName;
  /** Folder of the runs, result.json, table.md and index.html. */
  out: string;
  signal?: AbortSignal;
  onEvent?: (run: string, event: TrainEvent) => void;
}

async function write(summary: Summary, out: string, first: PlannedRun): Promise<void> {
  const { preset, overrides } = first;
  const settings = configText(await loadConfig({ preset, overrides }));
  await writeAtomic(join(out, 'result.json'), `${JSON.stringify(summary, null, 2)}\n`);
  await writeAtomic(join(out, 'table.md'), `${summaryTable(summary)}\n`);
  await writeAtomic(join(out, 'index.html'), comparisonPage(summary, settings));
}

/**
 * Makes the runs of an experiment of the paper and yields what is known after each: table, page and
 * JSON are written every time. The same call goes on where it was stopped.
 */
export async function* compare(options: CompareOptions): AsyncGenerator<Summary> {
  const { experiment: name, out } = options;
  const experiment: PaperExperiment = experiments[name];
  const runs = plan(experiment, options);
  const results: RunResult[] = [];
  await mkdir(out, { recursive: true });
  for await (const result of compareRuns({ ...options, runs, linear: experiment.linear })) {
    results.push(result);
    const summary = summarised(name, runs, results);
    await write(summary, out, runs[0]!);
    yield summary;
  }
}
