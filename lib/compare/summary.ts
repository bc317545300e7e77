import { type ExperimentName, experiments, type PaperExperiment } from './experiments.js';
import { type Measured, type MeasureName, measures } from './measures.js';
import { markdownTable } from './methods.js';
import type { RunResult, RunSpec } from './runs.js';
import { grouped, type SeedSpread, spreadOver, spreadText } from './statistics.js';

/** Runs that differ in their seeds alone. */
export interface Cell {
  variant: string;
  /** K, where it is one of several. */
  prototypes: number | null;
  seeds: number[];
  measures: Partial<Record<MeasureName, SeedSpread | null>>;
}

/** What became of an experiment so far. */
export interface Summary {
  experiment: ExperimentName;
  complete: boolean;
  cells: Cell[];
  runs: RunResult[];
}

/** A run with its place in the experiment. */
export interface PlannedRun extends RunSpec {
  variant: string;
  prototypes: number | null;
  seed: number;
}

export interface PlanOptions {
  seeds: number;
  /** "key.sub=value" on top of the experiment's. */
  overrides: readonly string[];
  /** Only these variants. */
  variants?: readonly string[] | undefined;
  /** Other K than the experiment's. */
  prototypes?: readonly number[] | undefined;
}

/** The runs of an experiment, seed by seed, so that a part of it is a whole comparison. */
export function plan(experiment: PaperExperiment, options: PlanOptions): PlannedRun[] {
  const { seeds, overrides, variants: only } = options;
  const counts = options.prototypes ?? experiment.prototypes ?? [null];
  const variants = experiment.variants.filter(({ name }) => only?.includes(name) ?? true);
  return Array.from({ length: seeds }, (_, seed) =>
    counts.flatMap((prototypes) =>
      variants.map(({ name: variant, settings }): PlannedRun => {
        const own = prototypes === null ? [] : [`head.prototypes=${prototypes}`];
        return {
          variant,
          prototypes,
          seed,
          name: [variant, ...(prototypes === null ? [] : [`k${prototypes}`]), `seed${seed}`].join(
            '-',
          ),
          preset: experiment.preset,
          overrides: [...experiment.settings, ...overrides, ...settings, ...own, `seed=${seed}`],
        };
      }),
    ),
  ).flat();
}

const before = ({ untrained, untrainedLinear }: RunResult): Measured => ({
  knn: untrained,
  linear: untrainedLinear,
  prototypes: null,
  mlcd: null,
});

function cellOf(
  { columns }: PaperExperiment,
  { variant, prototypes }: Pick<PlannedRun, 'variant' | 'prototypes'>,
  runs: readonly RunResult[],
  measured: (run: RunResult) => Measured = (run) => run,
): Cell {
  const spread = (name: MeasureName) =>
    spreadOver(runs.map((run) => measures[name].of(measured(run))));
  return {
    variant,
    prototypes,
    seeds: runs.map(({ seed }) => seed),
    measures: Object.fromEntries(columns.map((name) => [name, spread(name)])),
  };
}

const isKnown = ({ measures: found }: Cell) => Object.values(found).some((spread) => spread);

/** The results so far by variant and K; last the untrained networks, where their features are judged. */
export function summarised(
  name: ExperimentName,
  planned: readonly PlannedRun[],
  results: readonly RunResult[],
): Summary {
  const experiment: PaperExperiment = experiments[name];
  const of = (runs: readonly PlannedRun[]) =>
    results.filter(({ run }) => runs.some((one) => one.name === run));
  const groups = grouped(planned, ({ variant, prototypes }) => `${variant} ${prototypes}`);
  const cells = [...groups.values()].map((runs) => cellOf(experiment, runs[0]!, of(runs)));
  const oneEach = [...new Map(results.map((run) => [run.seed, run])).values()];
  const untrained = { variant: 'untrained network', prototypes: null };
  return {
    experiment: name,
    complete: results.length === planned.length,
    cells: [...cells, cellOf(experiment, untrained, oneEach, before)].filter(isKnown),
    runs: [...results],
  };
}

/** Head and rows of the table, without columns that say nothing. */
export function tableOf({ experiment, cells }: Summary): { head: string[]; rows: string[][] } {
  const { columns }: PaperExperiment = experiments[experiment];
  const shown = columns.filter((name) => cells.some((cell) => cell.measures[name]));
  const swept = cells.some(({ prototypes }) => prototypes !== null);
  const head = ['', ...(swept ? ['K'] : []), ...shown.map((name) => measures[name].title), 'seeds'];
  const rows = cells.map((cell) => [
    cell.variant,
    ...(swept ? [String(cell.prototypes ?? '-')] : []),
    ...shown.map((name) => spreadText(cell.measures[name] ?? null, measures[name].digits)),
    String(cell.seeds.length),
  ]);
  return { head, rows };
}

/** The table as Markdown. */
export function summaryTable(summary: Summary): string {
  const { head, rows } = tableOf(summary);
  return markdownTable([head, ...rows]);
}
