import { join } from 'node:path';
import type { Command } from 'commander';
import { checkInteger, invalid } from '../error.js';
import {
  type LabName,
  type LabPoint,
  type LabRun,
  labNames,
  labPage,
  runLab,
  setting,
} from '../lab/index.js';
import { writeAtomic } from '../train/files.js';
import { exitCode, type Output, run } from './output.js';

interface LabFlags {
  runs: string;
  out: string;
  seed: string;
  json?: boolean;
}

const lineOf = (name: LabName, { step, unique, loss }: LabPoint) =>
  `${name}: step ${step}, ${unique} of ${setting.prototypes} unique, loss ${loss.toFixed(3)}`;

/** Both counts in one line that is rewritten on a terminal. */
class Live {
  private readonly latest = new Map<LabName, LabPoint>();

  constructor(private readonly out: Output) {}

  show(name: LabName, point: LabPoint): void {
    this.latest.set(name, point);
    const text = [...this.latest].map(([run, latest]) => lineOf(run, latest));
    if (process.stderr.isTTY && !this.out.json) process.stderr.write(`\r\x1b[K${text.join('   ')}`);
    else if (point.step % 1500 === 0) this.out.say(lineOf(name, point));
  }

  stop(): void {
    if (process.stderr.isTTY && !this.out.json) process.stderr.write('\n');
  }
}

const summary = ({ name, loss, prototypes, mlcd }: LabRun) => ({
  name,
  loss,
  prototypes,
  mlcd,
});

function namesOf(list: string): LabName[] {
  return list.split(',').map((given) => {
    const name = labNames.find((known) => known === given.trim());
    if (name) return name;
    throw invalid('runs', labNames.join(', '), given);
  });
}

async function lab({ out: folder, seed, runs: list }: LabFlags, out: Output): Promise<number> {
  checkInteger('seed', Number(seed), 0);
  const names = namesOf(list);
  const live = new Live(out);
  const begin = performance.now();
  const show = (name: LabName, point: LabPoint) => {
    live.show(name, point);
    out.emit({ event: 'diagnosis', run: name, ...point });
  };
  const runs = await runLab(Number(seed), show, names);
  live.stop();
  const seconds = (performance.now() - begin) / 1000;
  const report = join(folder, 'index.html');
  await writeAtomic(report, labPage(runs, seconds));
  out.emit({ event: 'end', seconds, report, runs: runs.map(summary) });
  for (const { name, loss, prototypes } of runs)
    out.result(
      `${name.padEnd(22)} DINO loss ${loss.toFixed(3)}   unique prototypes ${prototypes.unique} of ${prototypes.total}`,
    );
  out.result(`${seconds.toFixed(1)} s, curves and maps in ${report}`);
  return exitCode.ok;
}

export function addLab(program: Command): void {
  program
    .command('lab')
    .description('see partial prototype collapse, and KoLeo-proto prevent it, in half a minute')
    .option('--out <dir>', 'folder of the page', 'runs/lab')
    .option('--runs <list>', `of ${labNames.join(', ')}`, 'dino,dino-kp')
    .option('--seed <s>', 'seed of data and weights', '0')
    .option('--json', 'JSON lines on stdout')
    .addHelpText('after', '\nExample:\n  protea lab\n\nThe setting: docs/lab.md.')
    .action((flags: LabFlags) => run(flags.json ?? false, (out) => lab(flags, out)));
}
