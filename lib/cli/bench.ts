import type { Command } from 'commander';
import { type BenchLine, bench, benchOps, TorchPeer } from '../bench/index.js';
import { checkInteger, invalid } from '../error.js';
import { exitCode, type Output, run } from './output.js';

interface BenchFlags {
  op?: string;
  peer?: string;
  rounds: string;
  json?: boolean;
}

function shown({ op, shape, impl, ms_median, ms_min, bytes_peak, ratio }: BenchLine): string {
  const sizes = Object.entries(shape)
    .slice(0, 4)
    .map(([name, size]) => `${name} ${size}`);
  const parts = [
    op.padEnd(24),
    impl.padEnd(7),
    `${ms_median.toFixed(2).padStart(9)} ms`,
    `(min ${ms_min.toFixed(2)})`.padEnd(16),
    `${(bytes_peak / 2 ** 20).toFixed(1).padStart(7)} MiB`,
    ratio ? `torch/protea ${ratio.toFixed(2)}`.padEnd(18) : ''.padEnd(18),
    sizes.join(', '),
  ];
  return parts.join('  ');
}

async function benchmark(flags: BenchFlags, out: Output): Promise<number> {
  if (flags.peer && flags.peer !== 'torch') throw invalid('peer', '"torch"', flags.peer);
  if (flags.op && !benchOps().includes(flags.op))
    throw invalid('op', `one of ${benchOps().join(', ')}`, flags.op);
  checkInteger('rounds', Number(flags.rounds), 1);
  const peer = flags.peer ? await TorchPeer.start() : undefined;
  try {
    for await (const line of bench({ op: flags.op, rounds: Number(flags.rounds), peer })) {
      out.emit(line);
      out.result(shown(line));
    }
    return exitCode.ok;
  } finally {
    peer?.stop();
  }
}

export function addBench(program: Command): void {
  program
    .command('bench')
    .description('time the ops and the whole step')
    .option('--op <name>', 'one op only')
    .option('--peer <name>', '"torch": PyTorch in the same run, call by call in turn')
    .option('--rounds <n>', 'counted calls of each', '9')
    .option('--json', 'JSON lines on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  protea bench --peer torch\n\nMeasured tables: docs/bench.md.',
    )
    .action((flags: BenchFlags) => run(flags.json ?? false, (out) => benchmark(flags, out)));
}
