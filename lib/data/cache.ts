import { ProteaError } from '../error.js';
import type { Dataset } from './dataset.js';
import type { Picture } from './steps.js';

export interface CacheOptions {
  /** Decoded pictures kept in memory, in bytes. @default 2 GiB */
  cacheBytes?: number;
  /** Share of bad pictures, of those met so far, that stops the run. @default 0.5 */
  maxBadFraction?: number;
  /** Told of each bad picture once. */
  onWarning?: (message: string) => void;
}

/** The limit does not speak before this many pictures were met. */
const fewest = 8;

/**
 * Loads the pictures of a data set, each decoded once while they fit. A bad picture is reported by
 * name, counted, and replaced by the next good one, so every index gives a picture and always the
 * same one.
 */
export class PictureCache {
  readonly bad = new Set<number>();
  private readonly kept = new Map<number, Picture>();
  private readonly met = new Set<number>();
  private bytes = 0;

  constructor(
    readonly dataset: Dataset,
    private readonly options: CacheOptions = {},
  ) {}

  /** The picture at `index`, or the next one that can be read. */
  async at(index: number): Promise<Picture> {
    const count = this.dataset.samples.length;
    for (let tried = 0; tried < count; tried++) {
      const picture = await this.load((index + tried) % count);
      if (picture) return picture;
    }
    throw new ProteaError('ERR_PROTEA_DATA', `${this.dataset.name}: no picture can be read`);
  }

  /** The picture at exactly `index`; undefined when it is bad. */
  async load(index: number): Promise<Picture | undefined> {
    if (this.bad.has(index)) return undefined;
    const known = this.kept.get(index);
    if (known) return known;
    try {
      const picture = await this.dataset.samples[index]!.load();
      this.met.add(index);
      this.keep(index, picture);
      return picture;
    } catch (error) {
      if (!(error instanceof ProteaError)) throw error;
      this.refuse(index, error.message);
      return undefined;
    }
  }

  private keep(index: number, picture: Picture): void {
    const { cacheBytes = 2 ** 31 } = this.options;
    if (this.kept.has(index) || this.bytes + picture.data.length > cacheBytes) return;
    this.kept.set(index, picture);
    this.bytes += picture.data.length;
  }

  private refuse(index: number, message: string): void {
    if (this.bad.has(index)) return;
    this.bad.add(index);
    this.met.add(index);
    this.options.onWarning?.(`skipped ${message}`);
    const { maxBadFraction = 0.5 } = this.options;
    if (this.met.size < fewest || this.bad.size <= maxBadFraction * this.met.size) return;
    throw new ProteaError(
      'ERR_PROTEA_DATA',
      `${this.dataset.name}: ${this.bad.size} of ${this.met.size} pictures could not be read, the last: ${message}`,
      { hint: 'Look at the files named in the warnings, or raise data.maxBadFraction.' },
    );
  }
}
