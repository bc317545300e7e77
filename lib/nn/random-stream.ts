import { uniforms } from './parameters.js';

/** What a stream of random numbers is drawn for; the table is that of native/core/random.h. */
export const purposes = {
  init: 1,
  order: 2,
  crop: 3,
  dropPath: 4,
  mask: 5,
  droppedPatches: 8,
  tie: 9,
} as const;

export interface StreamKey {
  seed: number;
  /** Epoch, or the step where a draw belongs to a whole batch. */
  epoch: number;
  sample: number;
  purpose: number;
}

/** Uniform numbers one after the other; the n-th is a pure function of the key. */
export class RandomStream {
  private drawn: Float64Array = new Float64Array();
  private used = 0;

  constructor(private readonly key: StreamKey) {}

  /** In [0, 1). */
  next(): number {
    if (this.used === this.drawn.length) {
      const { seed, epoch, sample, purpose } = this.key;
      this.drawn = uniforms(seed, epoch, sample, purpose, Math.max(32, 2 * this.used));
    }
    return this.drawn[this.used++]!;
  }

  /** In [low, high); `low` may be the larger one. */
  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** A whole number in [0, count). */
  below(count: number): number {
    return Math.floor(count * this.next());
  }

  /** 0 ... count - 1 in random order (Fisher and Yates). */
  permutation(count: number): Int32Array {
    const order = Int32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
