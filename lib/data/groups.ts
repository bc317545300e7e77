// Views of one size go through a network together.
import { augment, type Tensor, tensor } from '../tensor/index.js';
import type { Normalisation } from './steps.js';
import type { ViewRecipe } from './views.js';

/** Views of one size, view by view: (views x images, 3, size, size). */
export interface ViewGroup {
  shape: [number, number, number, number];
  views: number;
  /** The values, or with `drawOnly` 23 numbers a view: what the op augment is told. */
  values: Float32Array | Float64Array;
}

/** Joins the views of equal size that follow each other. */
export function grouped(
  recipes: readonly ViewRecipe[],
  made: readonly (Float32Array | Float64Array)[],
  images: number,
): ViewGroup[] {
  const groups: ViewGroup[] = [];
  for (let v = 0; v < recipes.length; ) {
    const { size } = recipes[v]!;
    let end = v;
    while (end < recipes.length && recipes[end]!.size === size) end++;
    groups.push({
      values: joined(made.slice(v, end)),
      shape: [(end - v) * images, 3, size, size],
      views: end - v,
    });
    v = end;
  }
  return groups;
}

/** Arrays of one length and kind, one after another. */
function joined(parts: readonly (Float32Array | Float64Array)[]): Float32Array | Float64Array {
  const [first] = parts;
  const length = parts.length * first!.length;
  const values =
    first instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
  parts.forEach((part, i) => {
    values.set(part, i * part.length);
  });
  return values;
}

/**
 * The views of each group as a tensor on the current device, which makes them if they were only
 * drawn.
 */
export function viewTensors(
  { groups, pixels }: { groups: readonly ViewGroup[]; pixels?: Uint8Array },
  { mean, std }: Normalisation,
): Tensor[] {
  if (!pixels) return groups.map(({ values, shape }) => tensor(values, shape));
  const bytes = tensor(pixels, [pixels.length]);
  const made = groups.map(({ values, shape }) =>
    augment(bytes, { size: shape[3], mean, std, views: values as Float64Array }),
  );
  bytes.dispose();
  return made;
}
