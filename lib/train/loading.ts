import { CropLoader, type Dataset, multiCrop, openData } from '../data/index.js';
import { ProteaError } from '../error.js';
import type { DeviceName } from '../tensor/index.js';
import type { TrainConfig } from './config.js';

/** The training images of a run. */
export const trainingData = ({ source, labels, images }: TrainConfig['data']): Promise<Dataset> =>
  openData(source, { labels: labels ?? undefined, images: images ?? undefined });

/**
 * The labelled images that a run is judged by, if it names any.
 * @throws ERR_PROTEA_DATA when they have no labels
 */
export async function testData({ test }: TrainConfig['data']): Promise<Dataset | undefined> {
  if (!test) return undefined;
  const dataset = await openData(test);
  if (dataset.samples.some(({ label }) => label !== undefined)) return dataset;
  throw new ProteaError('ERR_PROTEA_DATA', `${dataset.name} has no labels, which kNN goes by`, {
    hint: 'Give test images with labels (--test, data.test), or none.',
  });
}

/** The loader of the crops of a run on `device`. */
export function loaderOf(
  config: TrainConfig,
  dataset: Dataset,
  device: DeviceName,
  onWarning: (message: string) => void,
) {
  const { crops, data, optim, seed } = config;
  return new CropLoader(dataset, {
    batch: optim.batch,
    seed,
    recipes: multiCrop({ ...crops, globalCrops: crops.global, localCrops: crops.local }),
    normalisation: data,
    workers: data.workers,
    drawOnly: data.augment === 'device' || (data.augment === 'auto' && device === 'cuda'),
    cacheBytes: data.cacheBytes,
    maxBadFraction: data.maxBadFraction,
    onWarning,
  });
}

/**
 * The steps of a run.
 * @throws ERR_PROTEA_CONFIG when neither steps nor epochs are given
 */
export function stepsOf({ optim }: TrainConfig, perEpoch: number): number {
  const steps = optim.steps ?? Math.round((optim.epochs ?? 0) * perEpoch);
  if (steps >= 1) return steps;
  throw new ProteaError('ERR_PROTEA_CONFIG', 'optim.epochs or optim.steps must be given', {
    hint: 'For example optim.epochs=10.',
  });
}
