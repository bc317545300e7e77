import { join } from 'node:path';
import type { Command } from 'commander';
import { compareMethods, methodsTable, type RunResult } from '../compare/index.js';
import { invalid, ProteaError } from '../error.js';
import { presets, writeAtomic } from '../train/index.js';
import { exitCode, type Output, run } from './output.js';
import { Progress } from './progress.js';
import { overridesOf, stopOnSignals, type TrainFlags } from './train.js';

interface MethodsFlags extends TrainFlags {
  methods?: string;
  size: string;
  budget?: string;
  out: string;
}

/** Presets of a size, those that are asked for in the order they are asked for. */
function presetsOf({ methods, size }: MethodsFlags): string[] {
  const known = Object.keys(presets).filter((name) => name.endsWith(`-${size}`));
  if (!known.length) throw invalid('size', 'tiny, vitti16, vits16 or vitb16', size);
  if (!methods) return known;
  return methods.split(',').map((name) => {
    const preset = `${name.trim()}-${size}`;
    if (known.includes(preset)) return preset;
    throw new ProteaError('ERR_PROTEA_CONFIG', `There is no method "${name}" at size ${size}`, {
      hint: `Known: ${known.map((k) => k.slice(0, -size.length - 1)).join(', ')}`,
    });
  });
}

function secondsOf(minutes: string | undefined): number | undefined {
  if (minutes === undefined) return undefined;
  const value = Number(minutes);
  if (!(value > 0)) throw invalid('budget', 'minutes above 0', minutes);
  return 60 * value;
}

async function methods(flags: MethodsFlags, given: readonly string[], out: Output) {
  const { signal, code } = stopOnSignals();
  const names = presetsOf(flags);
  const rows: RunResult[] = [];
  const progress = new Progress(out);
  const table = join(flags.out, 'table.md');
  let current = '';
  const comparison = compareMethods({
    presets: names,
    overrides: overridesOf(flags, given),
    out: flags.out,
    secondsEach: secondsOf(flags.budget),
    signal,
    onEvent: (preset, event) => {
      if (preset !== current) out.say(`\n${preset}`);
      current = preset;
      progress.show(event);
    },
  });
  for await (const row of comparison) {
    rows.push(row);
    out.emit({ event: 'method', ...row });
    await writeAtomic(table, `${methodsTable(rows)}\n`);
  }
  const complete = rows.length === names.length;
  out.emit({ event: 'end', complete, table });
  out.result(methodsTable(rows));
  return complete ? exitCode.ok : code();
}

export function addMethods(program: Command): void {
  program
    .command('methods')
    .description('train every method on the same images, one after the other, and write one table')
    .argument('[overrides...]', 'settings as key.sub=value, for every method')
    .option('--methods <list>', 'such as dino,dino-kp,ibot-gmm (default: all)')
    .option('--size <name>', 'size of the presets: tiny, vitti16, vits16, vitb16', 'tiny')
    .option('--data <spec>', 'training images: folder, tar, IDX, CIFAR binary, flora')
    .option('--labels <csv>', 'subset and labels, "path_or_index,label"')
    .option('--test <spec>', 'labelled images for kNN')
    .option('--steps <n>', 'steps of each method')
    .option('--budget <minutes>', 'minutes of training of each method, instead of steps')
    .option('--seed <s>', 'seed of every random choice')
    .option('--out <dir>', 'folder of the runs and of table.md', join('runs', 'methods'))
    .option('--json', 'JSON lines on stdout')
    .addHelpText(
      'after',
      `
The same command again goes on where it was stopped and leaves finished methods alone.

Examples:
  protea methods --data train_first4000.bin.gz --test test_first1000.bin.gz --steps 300
  protea methods --methods dino,dino-kp,dino-gmm --budget 15 --out runs/quarter-hours`,
    )
    .action((given: string[], flags: MethodsFlags) =>
      run(flags.json ?? false, (out) => methods(flags, given, out)),
    );
}
