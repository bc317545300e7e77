import { type Command, Option } from 'commander';
import { type Dataset, labelsOf, openData } from '../data/index.js';
import { checkInteger, invalid } from '../error.js';
import { encodeNpy } from '../formats/npy.js';
import { datasetFeatures, openFeatureNetwork } from '../inspect/index.js';
import { chooseDevice, type DeviceChoice, useDevice } from '../tensor/index.js';
import { writeAtomic } from '../train/files.js';
import { checkpointPath } from './checkpoint-path.js';
import { exitCode, type Output, run, warner } from './output.js';
import { progressLines } from './progress.js';

interface FeatureFlags {
  checkpoint: string;
  data: string;
  labels?: string;
  out: string;
  size?: string;
  tokens?: 'cls' | 'patches';
  raw?: boolean;
  maxImages?: string;
  device: DeviceChoice;
  json?: boolean;
}

/** A number of a flag, if it is given. */
function given(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  checkInteger(name, Number(value), 1);
  return Number(value);
}

/** Name and class number of each row as --labels reads them; names alone where there are no labels. */
function namesText(dataset: Dataset, rows: readonly number[]): string {
  const labelled = labelsOf(dataset) !== undefined;
  const lines = rows.map((row) => {
    const { key, label } = dataset.samples[row]!;
    return labelled ? `${key},${label}` : key;
  });
  return [labelled ? 'path_or_index,label' : 'path_or_index', ...lines, ''].join('\n');
}

/** The table of names stands beside the array, under a name that no list of one's own has. */
function places(out: string): { array: string; names: string } {
  if (!out.endsWith('.npy')) throw invalid('out', 'a path that ends in .npy', out);
  return { array: out, names: `${out.slice(0, -4)}.names.csv` };
}

async function features(flags: FeatureFlags, out: Output): Promise<number> {
  const { array, names } = places(flags.out);
  const size = given('size', flags.size);
  const maxImages = given('max-images', flags.maxImages);
  const onWarning = warner(out);
  useDevice(chooseDevice(flags.device).device);
  const dataset = await openData(flags.data, { labels: flags.labels });
  for (const warning of dataset.warnings) onWarning(warning);
  const path = await checkpointPath(flags.checkpoint, onWarning);
  const progress = progressLines(out);
  const network = await openFeatureNetwork(path);
  const { features: made, rows } = await datasetFeatures(network, dataset, {
    onWarning,
    normalised: !flags.raw,
    onProgress: (share) => progress('images', share),
    ...(size ? { size } : {}),
    ...(maxImages ? { maxImages } : {}),
    ...(flags.tokens ? { pool: flags.tokens } : {}),
  });
  const [images, dim] = made.shape;
  await writeAtomic(names, namesText(dataset, rows));
  await writeAtomic(array, encodeNpy((await made.read()) as Float32Array, made.shape));
  out.emit({ event: 'end', checkpoint: path, images, dim, features: array, names });
  out.result(`${images} images, ${dim} numbers each: ${array}, names in ${names}`);
  return exitCode.ok;
}

export function addFeatures(program: Command): void {
  program
    .command('features')
    .description(
      'write the features of images by a checkpoint of a run, DINO, iBOT, MSN or DINOv2 as .npy, names beside it as .names.csv',
    )
    .requiredOption('--checkpoint <path>', 'folder of a run, or a checkpoint file of anyone')
    .requiredOption('--data <spec>', 'images: a folder, tar archives, IDX, CIFAR, flora')
    .option('--labels <csv>', 'subset and labels of --data')
    .option('--out <path>', 'where the array goes', 'features.npy')
    .option('--size <pixels>', 'side of the square that is shown (default: that of its training)')
    .addOption(
      new Option(
        '--tokens <kind>',
        'CLS, or the mean of the patches (default: what was trained)',
      ).choices(['cls', 'patches']),
    )
    .option('--raw', 'leaves the features at their own length; default: L2-normalised')
    .option('--max-images <n>', 'images used at most, evenly spread (default: all)')
    .addOption(
      new Option('--device <name>', 'where the features are made')
        .choices(['auto', 'cpu', 'cuda'])
        .default('auto'),
    )
    .option('--json', 'JSON lines on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  protea features --checkpoint dino_deitsmall16_pretrain.pth --data ./photos --out photos.npy',
    )
    .action((flags: FeatureFlags) => run(flags.json ?? false, (out) => features(flags, out)));
}
