import type { Command } from 'commander';
import { findUnique, reportOf, type UniqueReport, verdict } from '../diagnose/index.js';
import { invalid, ProteaError } from '../error.js';
import { openTensorFile, type TensorFile } from '../formats/tensor-file.js';
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
const prototypeNames =
  /(^|\.)(last_layer2?\.(weight_v|weight|parametrizations\.weight\.original1)|prototypes(\.weight)?)$/;

function namesIn(file: TensorFile, asked: string | undefined): string[] {
  const found = file.names.filter((name) =>
    asked ? name === asked : prototypeNames.test(name) && !/^optimi[sz]er\./.test(name),
  );
  if (found.length) return found;
  const matrices = file.names.filter((name) => file.shapeOf(name).length === 2);
  throw new ProteaError(
    'ERR_PROTEA_CHECKPOINT_FORMAT',
    asked
      ? `${file.path} has no tensor "${asked}"`
      : `${file.path} has no prototypes under a known name`,
    { hint: `Name one with --tensor. Matrices: ${matrices.slice(0, 12).join(', ') || 'none'}` },
  );
}

async function headReport(
  file: TensorFile,
  name: string,
  options: { epsilon: number; rule: UniqueRule },
): Promise<HeadReport> {
  const stored = await file.read(name);
  if (stored.shape.length !== 2)
    throw new ProteaError(
      'ERR_PROTEA_SHAPE',
      `${file.path}: ${name} must be (K, P), got (${stored.shape.join(', ')})`,
    );
  const prototypes = tensor(Float32Array.from(stored.values), stored.shape);
  const report = reportOf(await findUnique(prototypes, options));
  prototypes.dispose();
  return { name, dim: stored.shape[1]!, ...report, mlcd: null };
}

async function diagnose(path: string, flags: DiagnoseFlags, out: Output): Promise<number> {
  if (flags.rule !== 'greedy' && flags.rule !== 'components')
    throw invalid('rule', 'greedy or components', flags.rule);
  const options = { epsilon: Number(flags.epsilon), rule: flags.rule as UniqueRule };
  const warn = (message: string) => out.say(`warning: ${message}`);
  const file = await openTensorFile(await checkpointPath(path, warn));
  try {
    const heads: HeadReport[] = [];
    for (const name of namesIn(file, flags.tensor))
      heads.push(await headReport(file, name, options));
    const worst = heads.reduce((a, b) => (b.unique / b.total < a.unique / a.total ? b : a));
    out.emit({ file: file.path, format: file.format, heads, verdict: verdict(worst) });
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
    .description('count the unique prototypes of a run, a safetensors file or a PyTorch checkpoint')
    .argument('<file>', 'folder of a run, .safetensors, .pth or .pt file')
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
