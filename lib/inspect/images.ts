// Shows images to a network and counts where they are assigned.
import sharp from 'sharp';
import {
  type Dataset,
  type Normalisation,
  type Picture,
  PictureCache,
  plainBatch,
  plainPicture,
} from '../data/index.js';
import { AssignmentCount, type CheckpointFacts, type UniqueGroups } from '../diagnose/index.js';
import { ProteaError } from '../error.js';
import { tensor } from '../tensor/index.js';
import type { AssigningNetwork } from './network.js';

export interface AssignImagesOptions {
  /** Images used at most, evenly spread. @default 5000 */
  maxImages?: number;
  onProgress?: (share: number) => void;
  onWarning?: (message: string) => void;
}

export interface AssignedImages {
  count: AssignmentCount;
  cache: PictureCache;
}

const batchImages = 32;

/** Channel means and deviations of the official code: those of ImageNet. */
const imagenet: Normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

const isTriple = (value: unknown): value is [number, number, number] =>
  Array.isArray(value) && value.length === 3 && value.every((v) => typeof v === 'number');

/** How a run's images were normalised, or ImageNet's way. */
export function normalisationOf({ run }: CheckpointFacts): Normalisation {
  const { mean, std } = run?.data ?? {};
  return isTriple(mean) && isTriple(std) ? { mean, std } : imagenet;
}

/** Every how manyth image is taken so that there are at most `most`. */
const spread = (count: number, most: number) =>
  Array.from({ length: Math.min(count, most) }, (_, i) =>
    count <= most ? i : Math.floor((i * count) / most),
  );

const watchedGroups = 12;

const largestGroups = ({ sizes }: UniqueGroups) =>
  [...sizes.keys()].sort((a, b) => sizes[b]! - sizes[a]! || a - b).slice(0, watchedGroups);

/**
 * Assignments of a data set's images, each resized to the network's size and cut to the middle.
 * @throws ERR_PROTEA_DATA when no image can be read
 */
export async function assignImages(
  network: AssigningNetwork,
  dataset: Dataset,
  groups: UniqueGroups,
  normalisation: Normalisation,
  options: AssignImagesOptions = {},
): Promise<AssignedImages> {
  const { onWarning } = options;
  const cache = new PictureCache(dataset, {
    cacheBytes: 2 ** 28,
    ...(onWarning ? { onWarning } : {}),
  });
  const size = network.backbone.config.imageSize;
  const rows = spread(dataset.samples.length, options.maxImages ?? 5000);
  const count = new AssignmentCount(groups, largestGroups(groups));
  let seen = 0;
  for (let begin = 0; begin < rows.length; begin += batchImages) {
    const batch = await plainBatch(
      cache,
      rows.slice(begin, begin + batchImages),
      size,
      normalisation,
    );
    options.onProgress?.(begin / rows.length);
    if (!batch.rows.length) continue;
    const images = tensor(batch.values, [batch.rows.length, 3, size, size]);
    const assigned = network.assign(images);
    const probabilities = await assigned.read();
    images.dispose();
    assigned.dispose();
    count.add(probabilities, batch.rows, (row) => dataset.samples[row]!.label);
    seen += batch.rows.length;
  }
  if (!seen) throw new ProteaError('ERR_PROTEA_DATA', `${dataset.name}: no image can be read`);
  return { count, cache };
}

const thumbnailSide = 72;

/** A small JPEG of a picture as a data URI, for pages that stand alone. */
export async function thumbnail(picture: Picture): Promise<string> {
  const { data, width, height } = await plainPicture(picture, thumbnailSide);
  const bytes = await sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 80 })
    .toBuffer();
  return `data:image/jpeg;base64,${bytes.toString('base64')}`;
}
