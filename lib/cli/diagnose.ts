import type { Command } from 'commander';
import { findUnique, reportOf, type UniqueReport, verdict } from '../diagnose/index.js';
import { invalid, ProteaError } from '../error.js';
import { SafetensorsFile, valuesOf } from '../formats/safetensors.js';
import { tensor, type UniqueRule } from '../tensor/index.js';
import { checkpointPath } from './checkpoint-path.js';
import { exitCode, type Output, run } from './output.js';

interface DiagnoseFlags {
  epsilon: string;
  rule: string;
  tensor?: string;
  failOn?: string;
  json?: boolean;
}

interface HeadReport extends UniqueReport {
  name: string;
  dim: number;
  /** Needs images; see docs/diagnose.md. */
  mlcd: null;
}

/** Names under which heads keep their prototypes. */
const prototypeNames = /(^|\.)(last_layer\.weight_v|last_layer2\.weight_v|prototypes(\.weight)?)$/;

function namesIn(file: SafetensorsFile, asked: string | undefined): string[] {
  const found = file.names.filter((name) =>
    asked ? name === asked : prototypeNames.test(name) && !name.startsWith('optimiser.'),
  );
  if (found.length) return found;
  const matrices = file.names.filter((name) => file.header.tensors.get(name)!.shape.length === 2);
  throw new ProteaError(
    'ERR_PROTEA_CHECKPOINT_FORMAT',
    asked
      ? `${file.path} has no tensor "${asked}"`
      : `${file.path} has no prototypes under a known name`,
    { hint: `Name one with --tensor. Matrices: ${matrices.slice(0, 12).join(', ') || 'none'}` },
  );
}

async function headReport(
  file: SafetensorsFile,
  name: string,
  options: { epsilon: number; rule: UniqueRule },
): Promise<HeadReport> {
  const stored = await file.read(name);
  if (stored.shape.length !== 2)
    throw new ProteaError(
      'ERR_PROTEA_SHAPE',
      `${file.path}: ${name} must be (K, P), got (${stored.shape.join(', ')})`,
    );
  const prototypes = tensor(valuesOf(stored), stored.shape);
  const report = reportOf(await findUnique(prototypes, options));
  prototypes.dispose();
  return { name, dim: stored.shape[1]!, ...report, mlcd: null };
}

async function diagnose(path: string, flags: DiagnoseFlags, out: Output): Promise<number> {
  if (flags.rule !== 'greedy' && flags.rule !== 'components')
    throw invalid('rule', 'greedy or components', flags.rule);
  const options = { epsilon: Number(flags.epsilon), rule: flags.rule as UniqueRule };
  const warn = (message: string) => out.say(`warning: ${message}`);
  const file = await SafetensorsFile.open(await checkpointPath(path, warn));
  try {
    const heads: HeadReport[] = [];
    for (const name of namesIn(file, flags.tensor))
      heads.push(await headReport(file, name, options));
    const worst = heads.reduce((a, b) => (b.unique / b.total < a.unique / a.total ? b : a));
    out.emit({ file: file.path, format: 'safetensors', heads, verdict: verdict(worst) });
    for (const { name, total, dim, unique, redundancy } of heads)
      out.result(
        `${name}: ${unique} of ${total} unique (${dim}-d, epsilon ${options.epsilon}, ${options.rule}), at most ${redundancy.max} and on average ${redundancy.mean.toFixed(2)} copies of one`,
      );
    out.result(verdict(worst));
    const limit = flags.failOn === undefined ? 0 : Number(flags.failOn);
    return worst.unique / worst.total < limit ? exitCode.collapse : exitCode.ok;
  } finally {
    await file.close();
  }
}

export function addDiagnose(program: Command): void {
  program
    .command('diagnose')
    .description('count the unique prototypes of a run or a safetensors file')
    .argument('<file>', 'folder of a run, checkpoint or .safetensors file')
    .option('--epsilon <d>', 'cosine distance below which prototypes are copies', '0.025')
    .option('--rule <name>', 'greedy or components', 'greedy')
    .option('--tensor <name>', 'a (K, P) tensor with another name')
    .option('--fail-on <share>', 'exit 5 when the unique share is below this')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  protea diagnose runs/dino-kp-tiny\n\nWhat the numbers mean: docs/diagnose.md.',
    )
    .action((file: string, flags: DiagnoseFlags) =>
      run(flags.json ?? false, (out) => diagnose(file, flags, out)),
    );
}
