// Shows images to a network and counts where they are assigned.
import sharp from 'sharp';
import {
  type Dataset,
  type Normalisation,
  type Picture,
  PictureCache,
  plainPicture,
  spreadRows,
} from '../data/index.js';
import { AssignmentCount, type CheckpointFacts, type UniqueGroups } from '../diagnose/index.js';
import { ProteaError } from '../error.js';
import { extractFeatures } from '../eval/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
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

const watchedGroups = 12;

const largestGroups = ({ sizes }: UniqueGroups) =>
  [...sizes.keys()].sort((a, b) => sizes[b]! - sizes[a]! || a - b).slice(0, watchedGroups);

/** Images that could be read, by row, and what the network sees in them: (rows, width). */
interface Seen {
  rows: number[];
  width: number;
  values: Float32Array;
}

/** What `of` makes of numbers (n, ...) under that shape. */
async function made(values: Float32Array, shape: readonly number[], of: (x: Tensor) => Tensor) {
  const given = tensor(values, shape);
  const result = of(given);
  const found = (await result.read()) as Float32Array;
  given.dispose();
  result.dispose();
  return found;
}

/** The backbone's features of the images, at their own length. */
async function featuresOf(
  { backbone }: AssigningNetwork,
  cache: PictureCache,
  wanted: readonly number[],
  normalisation: Normalisation,
  onProgress?: (share: number) => void,
): Promise<Seen> {
  const { imageSize: size, dim: width } = backbone.config;
  const options = { size, normalisation, batch: batchImages, normalised: false };
  const { features, rows } = await extractFeatures(backbone, cache, wanted, {
    ...options,
    ...(onProgress ? { onProgress } : {}),
  });
  const values = (await features.read()) as Float32Array;
  features.dispose();
  return { rows, width, values };
}

/** Rows of `x` (rows, width) in pieces: where each begins, and its numbers. */
function* piecesOf({ rows, width, values }: Seen) {
  for (let begin = 0; begin < rows.length; begin += batchImages) {
    const end = Math.min(rows.length, begin + batchImages);
    yield { rows: rows.slice(begin, end), values: values.slice(begin * width, end * width) };
  }
}

/** What reaches the prototypes: by pieces, or at once where the head goes by its batch. */
async function pointsOf(network: AssigningNetwork, seen: Seen): Promise<Seen> {
  const pieces = network.batchStatistics ? [seen] : piecesOf(seen);
  let points = new Float32Array(0);
  let at = 0;
  for (const { rows, values } of pieces) {
    const part = await made(values, [rows.length, seen.width], network.points);
    if (at === 0) points = new Float32Array((part.length / rows.length) * seen.rows.length);
    points.set(part, at);
    at += part.length;
  }
  return { rows: seen.rows, width: points.length / seen.rows.length, values: points };
}

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
  const { onWarning, onProgress } = options;
  const cache = new PictureCache(dataset, {
    cacheBytes: 2 ** 28,
    ...(onWarning ? { onWarning } : {}),
  });
  const wanted = spreadRows(dataset.samples.length, options.maxImages ?? 5000);
  const features = await featuresOf(network, cache, wanted, normalisation, onProgress);
  if (!features.rows.length)
    throw new ProteaError('ERR_PROTEA_DATA', `${dataset.name}: no image can be read`);
  const points = await pointsOf(network, features);
  const count = new AssignmentCount(groups, largestGroups(groups));
  for (const { rows, values } of piecesOf(points)) {
    const probabilities = await made(values, [rows.length, points.width], network.assign);
    count.add(probabilities, rows, (row) => dataset.samples[row]!.label);
  }
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
