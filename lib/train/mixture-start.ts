// Where the components of a mixture begin: at vectors of the run's images.
import { type PictureCache, plainBatch, spreadRows } from '../data/index.js';
import { normals } from '../nn/index.js';
import type { HeadName, Method } from '../ssl/index.js';
import { scope, tensor, unrecorded } from '../tensor/index.js';
import type { TrainConfig } from './config.js';
import { batchesOf, vectorsOf } from './inspect.js';

/** Images looked at, at most; further components begin beside the first ones. */
const mostImages = 4096;
/** Noise of components that share an image, in deviations of the data. */
const aside = 0.3;
const asidePurpose = 2;

/** Bottleneck vectors of plain views of some images: row by row. */
async function vectorsOfImages(
  method: Method,
  kind: HeadName,
  { crops, data }: TrainConfig,
  cache: PictureCache,
  rows: readonly number[],
): Promise<Float32Array[]> {
  const size = crops.globalSize;
  const found: Float32Array[] = [];
  for (const batch of batchesOf(rows)) {
    const plain = await plainBatch(cache, batch, size, data);
    if (!plain.rows.length) continue;
    const z = scope(() =>
      unrecorded(() =>
        vectorsOf(method, kind, tensor(plain.values, [plain.rows.length, 3, size, size])),
      ),
    );
    const [values, dim] = [(await z.read()) as Float32Array, z.shape[1]!];
    z.dispose();
    for (let at = 0; at < values.length; at += dim) found.push(values.slice(at, at + dim));
  }
  return found;
}

function variancesOf(vectors: readonly Float32Array[]): Float32Array {
  const over = (of: (v: Float32Array) => number) =>
    vectors.reduce((sum, v) => sum + of(v), 0) / vectors.length;
  const mean = vectors[0]!.map((_, d) => over((v) => v[d]!));
  return mean.map((m, d) => over((v) => (v[d]! - m) ** 2));
}

/** K rows spread over the vectors; those that repeat one stand a little beside it. */
function places(
  vectors: readonly Float32Array[],
  variances: Float32Array,
  K: number,
  seed: number,
) {
  const P = variances.length;
  const noise = normals(seed, 0, asidePurpose, K * P);
  const spread = spreadRows(vectors.length, K);
  const means = new Float32Array(K * P);
  for (let k = 0; k < K; k++) {
    const repeats = k >= spread.length;
    const vector = vectors[spread[k % spread.length]!]!;
    for (let d = 0; d < P; d++) {
      const beside = repeats ? aside * Math.sqrt(variances[d]!) * noise[k * P + d]! : 0;
      means[k * P + d] = vector[d]! + beside;
    }
  }
  return means;
}

/** Puts the components of a fresh method's mixtures at vectors that its teacher makes of the images. */
export async function startMixtures(
  method: Method,
  config: TrainConfig,
  cache: PictureCache,
): Promise<void> {
  for (const [kind, mixture] of method.mixtures) {
    const K = mixture.means.shape[0]!;
    const rows = spreadRows(cache.dataset.samples.length, Math.min(K, mostImages));
    const vectors = await vectorsOfImages(method, kind, config, cache, rows);
    if (vectors.length < 2) continue;
    const floor = config.mixture.varianceFloor;
    const variances = variancesOf(vectors).map((v) => Math.max(v, floor));
    mixture.startAt(places(vectors, variances, K, config.seed), variances);
  }
}
