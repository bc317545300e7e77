import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { openData } from '../data/index.js';
import { parseConditions } from '../diagnose/index.js';
import { checkInteger, invalid } from '../error.js';
import {
  type CheckpointDiagnosis,
  checkpointPage,
  diagnoseCheckpoint,
  type HeadReport,
  trendOf,
} from '../inspect/index.js';
import type { UniqueRule } from '../tensor/index.js';
import { writeAtomic } from '../train/files.js';
import { checkpointPath } from './checkpoint-path.js';
import { exitCode, type Output, run } from './output.js';
import { progressLines } from './progress.js';

interface DiagnoseFlags {
  epsilon: string;
  rule: string;
  tensor?: string;
  data?: string;
  labels?: string;
  maxImages: string;
  failOn?: string;
  /** A path, or false: no page. */
  report?: string | false;
  json?: boolean;
}

const number = (value: number) => String(Number(value.toPrecision(3)));

function cells({
  name,
  total,
  dim,
  unique,
  redundancy,
  effectiveRank,
  neighbours,
  ...head
}: HeadReport) {
  return [
    name,
    String(total),
    String(unique),
    `${((100 * unique) / total).toFixed(1)} %`,
    String(redundancy.max),
    redundancy.mean.toFixed(2),
    effectiveRank === null ? '-' : `${effectiveRank.toFixed(0)} of ${dim}`,
    neighbours ? number(neighbours.distance.median) : '-',
    neighbours ? number(neighbours.koleo) : '-',
    `${number(head.norms.min)}-${number(head.norms.max)}`,
    head.kappa ? `${number(head.kappa.min)}-${number(head.kappa.max)}` : '-',
    String(head.dead),
  ];
}

const columns =
  'head,K,distinct,share,largest,mean copies,rank,nearest,KoLeo,length,kappa,dead'.split(',');

/** Rows of text, each column as wide as it must be. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  ');
  return rows.map(line).join('\n');
}

function imageLines({ name, mlcd, unique, total }: HeadReport): string[] {
  if (!mlcd) return [];
  const nmi = mlcd.nmi === null ? '' : `, NMI with labels ${mlcd.nmi.toFixed(3)}`;
  return [
    `${name} over ${mlcd.images} images at temperature ${number(mlcd.temperature)}${mlcd.centred ? ', centred' : ''}${mlcd.batchStatistics ? ', batch norm by these images' : ''}:`,
    `  MLCD entropy ${mlcd.all.entropy.toFixed(3)} of ${Math.log(total).toFixed(3)} over all (${mlcd.all.perplexity.toFixed(0)} in effect), ${mlcd.unique.entropy.toFixed(3)} of ${Math.log(unique).toFixed(3)} over distinct ones (${mlcd.unique.perplexity.toFixed(0)} in effect)`,
    `  ${mlcd.latentClasses} latent classes, the largest of ${mlcd.classSize.max} images; ${mlcd.unused} prototypes are no image's first${nmi}`,
  ];
}

/** The answer first, then the numbers, then where the page is. */
function say(out: Output, diagnoses: readonly CheckpointDiagnosis[]): void {
  const { report } = diagnoses.at(-1)!;
  out.result(report.verdict);
  out.result('');
  out.result(aligned([columns, ...report.heads.map(cells)]));
  for (const line of report.heads.flatMap(imageLines)) out.result(line);
  if (diagnoses.length < 2) return;
  const trend = trendOf(diagnoses.map((one) => one.report));
  const when = (file: string, step: number | null, epoch: number | null) =>
    step !== null ? `step ${step}` : epoch !== null ? `epoch ${epoch}` : basename(file);
  for (const { head, points } of trend)
    out.result(
      `\n${head}: ${points.map((p) => `${when(p.file, p.step, p.epoch)}: ${p.unique}`).join(', ')}`,
    );
}

/** Where the page goes: as asked, or beside nobody's files, in the current folder. */
function reportPath(paths: readonly string[], { report, json }: DiagnoseFlags): string | undefined {
  if (report === false || (json && report === undefined)) return undefined;
  return resolve(report ?? `${basename(resolve(paths.at(-1)!))}.diagnosis.html`);
}

function checked(flags: DiagnoseFlags): { epsilon: number; rule: UniqueRule; maxImages: number } {
  if (flags.rule !== 'greedy' && flags.rule !== 'components')
    throw invalid('rule', 'greedy or components', flags.rule);
  checkInteger('max-images', Number(flags.maxImages), 1);
  return { epsilon: Number(flags.epsilon), rule: flags.rule, maxImages: Number(flags.maxImages) };
}

async function diagnose(paths: string[], flags: DiagnoseFlags, out: Output): Promise<number> {
  const fails = flags.failOn === undefined ? () => false : parseConditions(flags.failOn);
  const onWarning = (message: string) => out.say(`warning: ${message}`);
  const page = reportPath(paths, flags);
  const options = {
    ...checked(flags),
    tensor: flags.tensor,
    data: flags.data ? await openData(flags.data, { labels: flags.labels }) : undefined,
    onProgress: progressLines(out),
    onWarning,
  };
  const diagnoses: CheckpointDiagnosis[] = [];
  for (const [i, path] of paths.entries()) {
    const last = i === paths.length - 1;
    const file = await checkpointPath(path, onWarning);
    diagnoses.push(
      await diagnoseCheckpoint(file, { ...options, page: last && page !== undefined }),
    );
  }
  const reports = diagnoses.map(({ report }) => report);
  const last = reports.at(-1)!;
  const where = page ? { report: page } : {};
  if (reports.length === 1) out.emit({ ...last, ...where });
  else out.emit({ files: reports, trend: trendOf(reports), verdict: last.verdict, ...where });
  say(out, diagnoses);
  if (page) {
    await writeAtomic(page, checkpointPage(diagnoses)); // last: a full disk takes no answer away
    out.result(`\nreport: ${page}`);
  }
  return diagnoses.at(-1)!.ofTeacher.some(fails) ? exitCode.collapse : exitCode.ok;
}

export function addDiagnose(program: Command): void {
  program
    .command('diagnose')
    .description('say how many prototypes of a checkpoint are real: no code in it is ever run')
    .argument(
      '<files...>',
      'checkpoints of torch.save, .safetensors or an index of them, .npy, or folders of runs; several in the order of training',
    )
    .option('--epsilon <d>', 'cosine distance below which prototypes are copies', '0.025')
    .option('--rule <name>', 'greedy or components', 'greedy')
    .option('--tensor <name>', 'a (K, P) tensor with another name')
    .option('--data <spec>', 'images to show to the network: MLCD, latent classes, examples')
    .option('--labels <csv>', 'subset and labels of --data')
    .option('--max-images <n>', 'images used at most', '5000')
    .option('--fail-on <condition>', 'exit 5 when it holds: unique<0.5, largest>100, rank<32')
    .option('--report <path>', 'where the page goes (default: <file>.diagnosis.html here)')
    .option('--no-report', 'writes no page')
    .option('--json', 'one JSON document on stdout; a page only with --report')
    .addHelpText(
      'after',
      '\nExamples:\n  protea diagnose dino_vitbase16_pretrain_full_checkpoint.pth\n  protea diagnose runs/photos --data ./photos\n  protea diagnose checkpoint0020.pth checkpoint0040.pth checkpoint.pth\n  protea diagnose checkpoint.pth --json --fail-on "unique<0.5"\n\nWhat the numbers mean: docs/diagnose.md.',
    )
    .action((files: string[], flags: DiagnoseFlags) =>
      run(flags.json ?? false, (out) => diagnose(files, flags, out)),
    );
}
