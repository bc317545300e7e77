import { checkInteger, ProteaError } from '../error.js';
import { nativeAsync } from '../native.js';
import { type CacheOptions, PictureCache } from './cache.js';
import type { Dataset } from './dataset.js';
import { grouped, type ViewGroup } from './groups.js';
import { epochOrder } from './order.js';
import type { Normalisation } from './steps.js';
import { encodeRecipe, type ViewRecipe } from './views.js';

export interface LoaderOptions extends CacheOptions {
  batch: number;
  seed: number;
  recipes: readonly ViewRecipe[];
  normalisation: Normalisation;
  /** Batches prepared at the same time. The result does not depend on it. @default 2 */
  workers?: number;
  /** Only draws the views; `viewTensors` makes them, where it is called for. @default false */
  drawOnly?: boolean;
}

export interface Batch {
  step: number;
  epoch: number;
  /** Rows of the data set, one an image. */
  rows: number[];
  /** Consecutive recipes of one size together. */
  groups: ViewGroup[];
  /** With `drawOnly`: RGB bytes of the pictures, one after another. */
  pixels?: Uint8Array;
}

/**
 * Makes the crops of any step, ahead of time. A batch is a pure function of (data set, seed, step):
 * the number of workers and restarts do not show.
 */
export class CropLoader {
  readonly stepsPerEpoch: number;
  readonly cache: PictureCache;
  private readonly ahead = new Map<number, Promise<Batch>>();
  private order: { epoch: number; rows: Int32Array } = { epoch: -1, rows: new Int32Array() };

  constructor(
    private readonly dataset: Dataset,
    private readonly options: LoaderOptions,
  ) {
    checkInteger('batch', options.batch, 1);
    checkInteger('workers', options.workers ?? 2, 1, 256);
    this.stepsPerEpoch = Math.floor(dataset.samples.length / options.batch);
    if (this.stepsPerEpoch < 1)
      throw new ProteaError(
        'ERR_PROTEA_CONFIG',
        `${dataset.name} has ${dataset.samples.length} samples, fewer than a batch of ${options.batch}`,
        { hint: 'Lower optim.batch.' },
      );
    this.cache = new PictureCache(dataset, options);
  }

  /** The batch of a step; those of the next steps up to `last` are begun. */
  async batch(step: number, last = Number.POSITIVE_INFINITY): Promise<Batch> {
    const { workers = 2 } = this.options;
    for (let next = step; next <= Math.min(step + workers, last); next++) this.begin(next);
    const found = this.ahead.get(step)!;
    this.ahead.delete(step);
    return found;
  }

  private begin(step: number): void {
    if (this.ahead.has(step)) return;
    const made = this.make(step);
    // An error is met by whoever asks for the batch; until then it must not end the process.
    made.catch(() => undefined);
    this.ahead.set(step, made);
  }

  private rowsOf(step: number): { epoch: number; rows: number[] } {
    const epoch = Math.floor(step / this.stepsPerEpoch);
    if (this.order.epoch !== epoch)
      this.order = {
        epoch,
        rows: epochOrder(this.dataset.samples.length, this.options.seed, epoch),
      };
    const { batch } = this.options;
    const begin = (step % this.stepsPerEpoch) * batch;
    return { epoch, rows: Array.from(this.order.rows.subarray(begin, begin + batch)) };
  }

  private async make(step: number): Promise<Batch> {
    const { epoch, rows } = this.rowsOf(step);
    const { recipes, normalisation, seed, drawOnly } = this.options;
    const pictures = await Promise.all(rows.map((row) => this.cache.at(row)));
    const key = { seed, epoch, samples: rows };
    const encoded = recipes.map(encodeRecipe);
    const batch = { step, epoch, rows };
    if (drawOnly) {
      const drawn = await nativeAsync((addon) => addon.drawViews(pictures, encoded, key));
      const plans = drawn.plans.map((buffer) => new Float64Array(buffer));
      const groups = grouped(recipes, plans, rows.length);
      return { ...batch, groups, pixels: new Uint8Array(drawn.pixels) };
    }
    const made = await nativeAsync((addon) =>
      addon.makeViews(pictures, encoded, [...normalisation.mean, ...normalisation.std], key),
    );
    const values = made.map((buffer) => new Float32Array(buffer));
    return { ...batch, groups: grouped(recipes, values, rows.length) };
  }
}
