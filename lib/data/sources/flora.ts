import { checkInteger, checkNumber, invalid } from '../../error.js';
import { nativeAsync } from '../../native.js';
import type { Dataset, Sample } from '../dataset.js';

export interface FloraOptions {
  /** @default 12 */
  classes: number;
  /** @default 2400 */
  images: number;
  /** Images of the first class over those of the last, falling exponentially. @default 1 */
  longtail: number;
  /** Side in pixels. @default 40 */
  size: number;
  /** Another seed is another set of species. @default 0 */
  seed: number;
  /** 1: other pictures of the same species, to test on. @default 0 */
  test: number;
}

const defaults: FloraOptions = {
  classes: 12,
  images: 2400,
  longtail: 1,
  size: 40,
  seed: 0,
  test: 0,
};

const largestSize = 4096;

/** Name and number of "classes=20". */
function option(part: string): [keyof FloraOptions, number] {
  const [name = '', value = '', ...more] = part.split('=');
  if (!Object.hasOwn(defaults, name))
    throw invalid('flora', `options among ${Object.keys(defaults).join(', ')}`, part);
  if (!value.trim() || more.length) throw invalid('flora', `${name}=NUMBER`, part);
  return [name as keyof FloraOptions, Number(value)];
}

/** Reads "classes=20,images=5000". */
export function floraOptions(text: string): FloraOptions {
  const given = text.split(',').filter(Boolean).map(option);
  const options: FloraOptions = { ...defaults, ...Object.fromEntries(given) };
  for (const name of ['classes', 'images'] as const) checkInteger(name, options[name], 1);
  checkInteger('size', options.size, 1, largestSize);
  checkInteger('seed', options.seed, 0);
  checkInteger('test', options.test, 0, 1);
  checkNumber('longtail', options.longtail, 1);
  return options;
}

/** Images of each class: equal shares, or an exponential profile. */
function counts({ classes, images, longtail }: FloraOptions): number[] {
  const weights = Array.from({ length: classes }, (_, c) =>
    classes > 1 ? longtail ** (-c / (classes - 1)) : 1,
  );
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => Math.max(1, Math.round((images * weight) / total)));
}

/** The test pictures of a class are numbered from here. */
const testOffset = 1_000_000;

/** The embedded procedural data set: flowers of as many species as classes. */
export async function openFlora(text: string): Promise<Dataset> {
  const options = floraOptions(text);
  const { size, seed } = options;
  const samples = counts(options).flatMap((count, label) =>
    Array.from({ length: count }, (_, i): Sample => {
      const number = i + (options.test ? testOffset : 0);
      return {
        key: `${label}/${number}`,
        label,
        load: async () => ({
          data: new Uint8Array(
            await nativeAsync((addon) => addon.flora(seed, label, number, size)),
          ),
          width: size,
          height: size,
        }),
      };
    }),
  );
  const classes = Array.from({ length: options.classes }, (_, c) => `species ${c}`);
  return { name: text ? `flora:${text}` : 'flora', samples, classes, warnings: [] };
}
