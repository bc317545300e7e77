import type { Command } from 'commander';
import { openData } from '../data/index.js';
import { ProteaError } from '../error.js';
import { type KnnReport, knnOf, knnOfPixels, knnSplit } from '../eval/index.js';
import { featureOptions, freshMethod, readCheckpoint, restoredMethod } from '../train/index.js';
import { checkpointPath } from './checkpoint-path.js';
import { exitCode, type Output, run } from './output.js';

interface KnnFlags {
  checkpoint: string;
  data?: string;
  labels?: string;
  test?: string;
  k: string;
  maxImages: string;
  baselines: boolean;
  json?: boolean;
}

async function knn(flags: KnnFlags, out: Output): Promise<number> {
  const warn = (message: string) => out.say(`warning: ${message}`);
  const checkpoint = await readCheckpoint(await checkpointPath(flags.checkpoint, warn));
  const { config } = checkpoint.meta;
  const train = await openData(flags.data ?? config.data.source, {
    labels: flags.labels ?? (flags.data ? undefined : (config.data.labels ?? undefined)),
  });
  const testSpec = flags.test ?? (flags.data ? undefined : (config.data.test ?? undefined));
  const test = testSpec ? await openData(testSpec) : undefined;
  const split = knnSplit(train, test, Number(flags.maxImages));
  if (!split)
    throw new ProteaError('ERR_PROTEA_DATA', `${train.name} has no labels of two classes or more`, {
      hint: 'Use class folders, .cls entries, IDX labels, or --labels.',
    });
  const size = config.crops.globalSize;
  const features = featureOptions(config);
  const options = { k: Number(flags.k) };
  const teacher = restoredMethod(config, checkpoint).method.teacher;
  const rows: Record<string, KnnReport> = {
    teacher: await knnOf(teacher.backbone, split, features, options),
  };
  if (flags.baselines) {
    const untrained = freshMethod(config).method.teacher;
    rows.untrained = await knnOf(untrained.backbone, split, features, options);
    rows.pixels = await knnOfPixels(split, size, options);
  }
  out.emit({
    event: 'end',
    checkpoint: checkpoint.path,
    step: checkpoint.meta.step,
    train: split.train.rows.length,
    test: split.test.rows.length,
    knn: rows.teacher,
    baselines: flags.baselines ? { untrained: rows.untrained, pixels: rows.pixels } : null,
  });
  out.result(
    `kNN, k = ${rows.teacher!.k}, ${split.train.rows.length} train, ${split.test.rows.length} test images`,
  );
  for (const [name, { top1, top5 }] of Object.entries(rows))
    out.result(`  ${name.padEnd(10)} top-1 ${top1.toFixed(2)} %   top-5 ${top5.toFixed(2)} %`);
  return exitCode.ok;
}

export function addEval(program: Command): void {
  program
    .command('eval')
    .description('judge the features of a run')
    .command('knn')
    .description(
      'weighted kNN accuracy of the teacher, beside the untrained network and raw pixels',
    )
    .requiredOption('--checkpoint <path>', 'folder of a run, or a checkpoint file')
    .option('--data <spec>', 'labelled training images (default: those of the run)')
    .option('--labels <csv>', 'subset and labels of --data')
    .option('--test <spec>', 'labelled test images (default: every fifth of --data)')
    .option('--k <n>', 'neighbours that vote', '20')
    .option('--max-images <n>', 'images used of each set at most', '100000')
    .option('--no-baselines', 'leaves out the untrained network and raw pixels')
    .option('--json', 'JSON lines on stdout')
    .addHelpText('after', '\nExample:\n  protea eval knn --checkpoint runs/dino-kp-tiny')
    .action((flags: KnnFlags) => run(flags.json ?? false, (out) => knn(flags, out)));
}
