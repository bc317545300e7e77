import { native } from '../native.js';
import { l2Normalize, scope, tensor, tsne } from '../tensor/index.js';
import { type OnProgress, watched } from './progress.js';
import type { UniqueGroups } from './unique.js';

/** A unique prototype on the map. */
export interface MapPoint {
  x: number;
  y: number;
  /** r_m: prototypes it stands for. */
  size: number;
  row: number;
}

export interface UniqueMapOptions {
  /** Points at most: the largest groups, then others evenly spread. @default 2048 */
  most?: number;
  onProgress?: OnProgress | undefined;
}

const fewest = 8;

/** Half the places for the largest groups, the rest evenly over the others. */
function chosen({ sizes, unique }: UniqueGroups, most: number): number[] {
  const all = [...sizes.keys()];
  if (unique <= most) return all;
  const bySize = all.sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  const [largest, others] = [bySize.slice(0, most / 2), bySize.slice(most / 2)];
  const rest = Array.from({ length: most - largest.length }, (_, i) =>
    Math.floor((i * others.length) / (most - largest.length)),
  );
  return [...largest, ...rest.map((i) => others[i]!)];
}

/**
 * Places of the unique prototypes (K, P) in the plane, by exact t-SNE of their directions: near ones
 * stay near. Empty for fewer than 8.
 */
export async function uniqueMap(
  { values, dim }: { values: ArrayLike<number>; dim: number },
  groups: UniqueGroups,
  { most = 2048, onProgress }: UniqueMapOptions = {},
): Promise<MapPoint[]> {
  const which = chosen(groups, most);
  const n = which.length;
  if (n < fewest) return [];
  const picked = new Float32Array(n * dim);
  which.forEach((m, i) => {
    for (let j = 0; j < dim; j++) picked[i * dim + j] = values[groups.rows[m]! * dim + j]!;
  });
  const uniform = native((addon) => addon.uniforms(0, 0, n, 0, 2 * n));
  const places = scope(() => {
    const start = tensor(
      Float32Array.from(uniform, (u) => 1e-4 * (u - 0.5)),
      [n, 2],
    );
    return tsne(l2Normalize(tensor(picked, [n, dim])), start, { perplexity: Math.min(30, n / 4) });
  });
  try {
    const at = await watched('map', places.read(), onProgress);
    return which.map((m, i) => ({
      x: at[2 * i]!,
      y: at[2 * i + 1]!,
      size: groups.sizes[m]!,
      row: groups.rows[m]!,
    }));
  } finally {
    places.dispose();
  }
}
