// Are the images of a run those that it began with?
import { createHash } from 'node:crypto';
import type { Dataset } from '../data/index.js';

/** How many images there are, and their names in order, as a digest. */
export interface RunImages {
  count: number;
  names: string;
}

export function imagesOf({ samples }: Dataset): RunImages {
  const hash = createHash('sha256');
  for (const { key } of samples) hash.update(`${key}\0`);
  return { count: samples.length, names: hash.digest('hex').slice(0, 32) };
}

/** A warning where images were added, taken away or renamed; what they show is not looked at. */
export function changesOf(before: RunImages | undefined, now: RunImages): string[] {
  if (!before || (before.count === now.count && before.names === now.names)) return [];
  const what =
    before.count === now.count
      ? `the names of the ${now.count} images are not`
      : `there are ${now.count} images, not the ${before.count}`;
  return [
    `${what} those this run began with: it goes on, but not as it would have with the same images`,
  ];
}
