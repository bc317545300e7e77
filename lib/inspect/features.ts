// Features of pictures by the backbone of anyone's checkpoint.
import { type Dataset, PictureCache, spreadRows } from '../data/index.js';
import { factsOf } from '../diagnose/index.js';
import { ProteaError } from '../error.js';
import { extractFeatures, type FeatureOptions, type Features } from '../eval/index.js';
import { openTensorFile } from '../formats/tensor-file.js';
import type { VisionTransformer } from '../nn/index.js';
import { backbonePrefix, readBackbone } from './backbone.js';
import { normalisationOf } from './images.js';

/** A backbone, and how it is shown pictures: as in its training. */
export interface FeatureNetwork {
  backbone: VisionTransformer;
  options: FeatureOptions;
  /** Gives the memory of the weights back. */
  dispose(): void;
}

/**
 * The backbone of a checkpoint: the teacher's where there are two, of a Protea run, DINO, iBOT, MSN or
 * DINOv2, or alone in its file. Pictures are normalised as the run's were, else by ImageNet's means.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT, ERR_PROTEA_PICKLE_FORBIDDEN as `openTensorFile`
 * @throws ERR_PROTEA_UNSUPPORTED when there is no vision transformer in it that is understood
 */
export async function openFeatureNetwork(path: string): Promise<FeatureNetwork> {
  const file = await openTensorFile(path);
  try {
    const facts = factsOf(file);
    const hints = { arch: facts.arch, size: facts.run?.model?.size };
    const backbone = await readBackbone(file, backbonePrefix(file, ''), hints);
    // CAPI's losses reach patches alone.
    const pool = Object(facts.run).method === 'capi' ? 'patches' : 'cls';
    const options = {
      size: backbone.config.imageSize,
      normalisation: normalisationOf(facts),
      pool,
    } as const;
    const dispose = () => {
      for (const parameter of backbone.parameters.values()) parameter.dispose();
    };
    return { backbone, options, dispose };
  } finally {
    await file.close();
  }
}

export interface DatasetFeatureOptions extends Partial<FeatureOptions> {
  /** Images used at most, evenly spread; none: all. */
  maxImages?: number;
  onWarning?: (message: string) => void;
}

/**
 * Features of a data set's pictures, each resized and cut to the middle: (N, D), L2-normalised unless
 * `normalised` is false, and the row of the data set that each belongs to. Unreadable pictures are
 * warned of and left out.
 * @throws ERR_PROTEA_DATA when none can be read
 */
export async function datasetFeatures(
  network: FeatureNetwork,
  dataset: Dataset,
  { maxImages, onWarning, ...options }: DatasetFeatureOptions = {},
): Promise<Features> {
  const cache = new PictureCache(dataset, { cacheBytes: 0, ...(onWarning ? { onWarning } : {}) });
  const count = dataset.samples.length;
  const rows = spreadRows(count, maxImages ?? count);
  const found = await extractFeatures(network.backbone, cache, rows, {
    ...network.options,
    ...options,
  });
  if (found.rows.length) return found;
  found.features.dispose();
  throw new ProteaError('ERR_PROTEA_DATA', `${dataset.name}: no image can be read`);
}
