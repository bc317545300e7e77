import { join } from 'node:path';
import { Argument, type Command } from 'commander';
import {
  compare,
  type ExperimentName,
  experimentNames,
  experiments,
  plan,
  type Summary,
  summaryTable,
} from '../compare/index.js';
import { checkInteger, invalid } from '../error.js';
import { exitCode, type Output, run } from './output.js';
import { Progress } from './progress.js';
import { overridesOf, stopOnSignals, type TrainFlags } from './train.js';

interface CompareFlags extends Omit<TrainFlags, 'seed'> {
  seeds: string;
  images?: string;
  variants?: string;
  prototypes?: string;
}

const listOf = (text: string | undefined) => text?.split(',').map((part) => part.trim());

/** Variants that are asked for; undefined: all. */
function variantsOf(name: ExperimentName, flags: CompareFlags): string[] | undefined {
  const known: string[] = experiments[name].variants.map((variant) => variant.name);
  const asked = listOf(flags.variants);
  const wrong = asked?.find((variant) => !known.includes(variant));
  if (wrong !== undefined) throw invalid('variants', known.join(', '), wrong);
  return asked;
}

function countsOf(name: ExperimentName, flags: CompareFlags): number[] | undefined {
  const asked = listOf(flags.prototypes)?.map(Number);
  if (asked && !('prototypes' in experiments[name]))
    throw invalid(
      'prototypes',
      `nothing, as ${name} has one K (head.prototypes)`,
      flags.prototypes,
    );
  for (const count of asked ?? []) checkInteger('prototypes', count, 2);
  return asked;
}

async function comparison(
  name: ExperimentName,
  flags: CompareFlags,
  given: readonly string[],
  out: Output,
): Promise<number> {
  const seeds = Number(flags.seeds);
  checkInteger('seeds', seeds, 1);
  const images = flags.images ? [`data.images=${flags.images}`] : [];
  const options = {
    seeds,
    overrides: [...overridesOf({ ...flags, out: undefined }, given), ...images],
    variants: variantsOf(name, flags),
    prototypes: countsOf(name, flags),
  };
  const folder = flags.out ?? join('runs', `compare-${name}`);
  const { signal, code } = stopOnSignals();
  const progress = new Progress(out);
  const count = plan(experiments[name], options).length;
  let current = '';
  let done = 0;
  const onEvent: NonNullable<Parameters<typeof compare>[0]['onEvent']> = (runName, event) => {
    if (runName !== current) out.say(`\n${runName}: run ${done + 1} of ${count}`);
    current = runName;
    progress.show(event);
  };
  let summary: Summary | undefined;
  for await (const found of compare({
    ...options,
    experiment: name,
    out: folder,
    signal,
    onEvent,
  })) {
    summary = found;
    done += 1;
    out.emit({ event: 'run', ...found.runs.at(-1)! });
  }
  const complete = summary?.complete ?? false;
  const files = { result: join(folder, 'result.json'), table: join(folder, 'table.md') };
  const report = join(folder, 'index.html');
  const cells = summary?.cells ?? [];
  out.emit({ event: 'end', experiment: name, complete, ...files, report, cells });
  if (summary) out.result(`${summaryTable(summary)}\n\nplots: ${report}`);
  return complete ? exitCode.ok : code();
}

export function addCompare(program: Command): void {
  program
    .command('compare')
    .description('repeat a comparison of the paper on your images, over several seeds')
    .addArgument(new Argument('<experiment>', 'which one').choices(experimentNames))
    .argument('[overrides...]', 'settings as key.sub=value, for every run')
    .option('--data <spec>', 'training images: folder, tar, IDX, CIFAR binary, flora')
    .option('--labels <csv>', 'subset and labels, "path_or_index,label"')
    .option('--test <spec>', 'labelled images to judge by')
    .option('--seeds <n>', 'runs of each kind, with seeds 0 to n - 1', '3')
    .option('--steps <n>', 'steps of each run')
    .option('--images <n>', 'training images used at most, evenly spread')
    .option('--variants <list>', 'only these, such as baseline,koleo-proto')
    .option('--prototypes <list>', 'K of the experiment prototypes, such as 256,1024')
    .option('--device <name>', 'auto, cpu or cuda (default: auto)')
    .option(
      '--out <dir>',
      'folder of runs, table, JSON and page (default: runs/compare-<experiment>)',
    )
    .option('--json', 'JSON lines on stdout')
    .addHelpText(
      'after',
      `
${experimentNames.map((name) => `  ${name.padEnd(12)} ${experiments[name].lead}`).join('\n')}

The same command again goes on where it was stopped and leaves finished runs alone.

Examples:
  protea compare prototypes --data cifar10_jpeg.tar.gz#train/ --test cifar10_jpeg.tar.gz#test/
  protea compare targets --steps 500 --seeds 1
  protea compare long-tail --data 'flowers102-test-*.tar' --labels flowers102_train_if100.csv --test 'flowers102-val-*.tar'`,
    )
    .action((name: ExperimentName, given: string[], flags: CompareFlags) =>
      run(flags.json ?? false, (out) => comparison(name, flags, given, out)),
    );
}
