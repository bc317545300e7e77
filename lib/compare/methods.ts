// Every method on the same images: one run each, and one table.
import { type ComparisonOptions, compareRuns, type RunResult } from './runs.js';

export interface MethodsOptions extends Omit<ComparisonOptions, 'runs'> {
  /** Presets to train, in order. */
  presets: readonly string[];
  /** "key.sub=value" on top of each preset. */
  overrides: readonly string[];
}

/** Trains each preset and yields what came of it; see `compareRuns`. */
export const compareMethods = ({ presets, overrides, ...options }: MethodsOptions) =>
  compareRuns({ ...options, runs: presets.map((preset) => ({ name: preset, preset, overrides })) });

/** Rows of Markdown from cells. */
export const markdownTable = (rows: readonly (readonly string[])[]): string => {
  const [head = [], ...body] = rows;
  return [head, head.map(() => '---'), ...body].map((row) => `| ${row.join(' | ')} |`).join('\n');
};

const fixed = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? '-';

/** The results of presets as a Markdown table. */
export function methodsTable(results: readonly RunResult[]): string {
  const rows = results.map(({ preset, steps, knn, untrained, prototypes, mlcd, ...result }) => [
    `\`${preset}\``,
    String(steps),
    fixed(knn?.top1, 1),
    fixed(untrained?.top1, 1),
    `${prototypes.unique} of ${prototypes.total}`,
    `${fixed(mlcd?.all, 2)} of ${fixed(mlcd?.most, 2)}`,
    fixed(mlcd?.unique, 2),
    result.imagesPerSecond.toFixed(0),
  ]);
  const head =
    'preset | steps | kNN | untrained | unique | MLCD entropy | over unique | images / s';
  return markdownTable([head.split(' | '), ...rows]);
}
