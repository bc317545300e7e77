import { type Command, Option } from 'commander';
import { type Dataset, openData } from '../data/index.js';
import { checkInteger, ProteaError } from '../error.js';
import {
  type Accuracy,
  type EvalSplit,
  evalSplit,
  judged,
  knnOf,
  linearOf,
  networkFeatures,
  rawFeatures,
  type SplitFeatures,
} from '../eval/index.js';
import { chooseDevice, type DeviceChoice, useDevice } from '../tensor/index.js';
import {
  featureOptions,
  freshMethod,
  readCheckpoint,
  restoredMethod,
  type TrainConfig,
} from '../train/index.js';
import { checkpointPath } from './checkpoint-path.js';
import { exitCode, type Output, run, warner } from './output.js';

interface EvalFlags {
  checkpoint: string;
  data?: string;
  labels?: string;
  test?: string;
  maxImages: string;
  baselines: boolean;
  device: DeviceChoice;
  json?: boolean;
}

/** A way to judge features: its name in results, and what it gives. */
interface Judge<Report extends Accuracy> {
  name: 'knn' | 'linear';
  judge: (features: SplitFeatures) => Promise<Report>;
  /** What was done, of the teacher's report. */
  heading: (report: Report) => string;
}

type Data = Pick<TrainConfig['data'], 'source' | 'labels' | 'images' | 'test'>;

/** The set that lacks labels: the training set unless it has two classes. */
function unlabelled(train: Dataset, test: Dataset | undefined): ProteaError {
  const classes = new Set(train.samples.map(({ label }) => label).filter((c) => c !== undefined));
  if (test && classes.size > 1)
    return new ProteaError('ERR_PROTEA_DATA', `${test.name} has no labels`, {
      hint: 'Use class folders, .cls entries or IDX labels for the test images.',
    });
  return new ProteaError('ERR_PROTEA_DATA', `${train.name} has no labels of two classes or more`, {
    hint: 'Use class folders, .cls entries, IDX labels, or --labels.',
  });
}

/** The images of the flags; those of the run where no --data is given. */
async function splitOf(
  flags: EvalFlags,
  { source, labels, images, test: testOfRun }: Data,
  onWarning: (message: string) => void,
): Promise<EvalSplit> {
  const most = Number(flags.maxImages);
  checkInteger('max-images', most, 1);
  const own = flags.data
    ? { labels: null, images: null, test: null }
    : { labels, images, test: testOfRun };
  const train = await openData(flags.data ?? source, {
    labels: flags.labels ?? own.labels ?? undefined,
    images: own.images ?? undefined,
  });
  const testSpec = flags.test ?? own.test;
  const test = testSpec ? await openData(testSpec) : undefined;
  for (const warning of [...train.warnings, ...(test?.warnings ?? [])]) onWarning(warning);
  const split = evalSplit(train, test, most, { onWarning });
  if (split) return split;
  throw unlabelled(train, test);
}

/** Images of a part that could be read. */
const readable = ({ cache, rows }: EvalSplit['train']) =>
  rows.filter((row) => !cache.bad.has(row)).length;

const percent = (value: number | null) => (value === null ? '-' : `${value.toFixed(2)} %`);

function line(name: string, { top1, top5, groups }: Accuracy): string {
  const text = `  ${name.padEnd(10)} top-1 ${percent(top1)}   top-5 ${percent(top5)}`;
  if (!groups) return text;
  const { head, medium, tail } = groups;
  return `${text}   head ${percent(head)}   medium ${percent(medium)}   tail ${percent(tail)}`;
}

async function evaluate<Report extends Accuracy>(
  flags: EvalFlags,
  { name, judge, heading }: Judge<Report>,
  out: Output,
): Promise<number> {
  useDevice(chooseDevice(flags.device).device);
  const onWarning = warner(out);
  const checkpoint = await readCheckpoint(await checkpointPath(flags.checkpoint, onWarning));
  const { config, step } = checkpoint.meta;
  const split = await splitOf(flags, config.data, onWarning);
  const options = featureOptions(config);
  const of = async ({ method }: ReturnType<typeof freshMethod>) =>
    judged(await networkFeatures(method.teacher.backbone, split, options), judge);
  const rows: Record<string, Report> = { teacher: await of(restoredMethod(config, checkpoint)) };
  if (flags.baselines) {
    rows.untrained = await of(freshMethod(config));
    rows.pixels = await judged(await rawFeatures(split, options.size), judge);
  }
  const [train, test] = [readable(split.train), readable(split.test)];
  const { teacher, ...others } = rows;
  const baselines = flags.baselines ? others : null;
  const at = { checkpoint: checkpoint.path, step };
  out.emit({ event: 'end', ...at, train, test, [name]: teacher, baselines });
  out.result(`${heading(teacher!)}, ${train} train, ${test} test images`);
  for (const [of, report] of Object.entries(rows)) out.result(line(of, report));
  return exitCode.ok;
}

const knn = (k: string): Judge<Awaited<ReturnType<typeof knnOf>>> => ({
  name: 'knn',
  judge: (features) => knnOf(features, { k: Number(k) }),
  heading: (report) => `kNN, k = ${report.k}`,
});

const linear: Judge<Awaited<ReturnType<typeof linearOf>>> = {
  name: 'linear',
  judge: (features) => linearOf(features),
  heading: ({ strength }) => `linear, C = ${strength} chosen on a tenth of the training images`,
};

/** What both ways of judging share. */
const withData = (command: Command, most: number) =>
  command
    .requiredOption('--checkpoint <path>', 'folder of a run, or a checkpoint file')
    .option('--data <spec>', 'labelled training images (default: those of the run)')
    .option('--labels <csv>', 'subset and labels of --data')
    .option('--test <spec>', 'labelled test images (default: every fifth of --data)')
    .option('--max-images <n>', 'images used of each set at most', String(most))
    .addOption(
      new Option('--device <name>', 'where the features are made')
        .choices(['auto', 'cpu', 'cuda'])
        .default('auto'),
    )
    .option('--no-baselines', 'leaves out the untrained network and raw pixels')
    .option('--json', 'JSON lines on stdout');

export function addEval(program: Command): void {
  const command = program.command('eval').description('judge the features of a run');
  withData(command.command('knn'), 100_000)
    .description(
      'weighted kNN accuracy of the teacher, beside the untrained network and raw pixels',
    )
    .option('--k <n>', 'neighbours that vote', '20')
    .addHelpText('after', '\nExample:\n  protea eval knn --checkpoint runs/dino-kp-tiny')
    .action((flags: EvalFlags & { k: string }) =>
      run(flags.json ?? false, (out) => evaluate(flags, knn(flags.k), out)),
    );
  withData(command.command('linear'), 20_000)
    .description(
      'accuracy of logistic regression on the frozen features of the teacher, beside the same baselines',
    )
    .addHelpText('after', '\nExample:\n  protea eval linear --checkpoint runs/dino-kp-tiny')
    .action((flags: EvalFlags) => run(flags.json ?? false, (out) => evaluate(flags, linear, out)));
}
