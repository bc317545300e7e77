// Prototypes on a disc: the first two principal directions of the set.

/** y = M x for a symmetric matrix given by the rows that made it: Σ_k (row_k · x) row_k. */
function spread(rows: Float32Array, width: number, x: Float64Array): Float64Array {
  const result = new Float64Array(width);
  for (let at = 0; at < rows.length; at += width) {
    let along = 0;
    for (let j = 0; j < width; j++) along += rows[at + j]! * x[j]!;
    for (let j = 0; j < width; j++) result[j]! += along * rows[at + j]!;
  }
  return result;
}

function normalised(x: Float64Array): Float64Array {
  const norm = Math.hypot(...x) || 1;
  return x.map((v) => v / norm);
}

/** The first two principal directions by power iteration. */
function principal(rows: Float32Array, width: number): [Float64Array, Float64Array] {
  const found: Float64Array[] = [];
  for (let i = 0; i < 2; i++) {
    let x = normalised(Float64Array.from({ length: width }, (_, j) => Math.sin(1 + j * (i + 1))));
    for (let iteration = 0; iteration < 60; iteration++) {
      const next = spread(rows, width, x);
      for (const known of found) {
        const along = next.reduce((s, v, j) => s + v * known[j]!, 0);
        for (let j = 0; j < width; j++) next[j]! -= along * known[j]!;
      }
      x = normalised(next);
    }
    found.push(x);
  }
  return [found[0]!, found[1]!];
}

/** A map of prototypes (K, width); those that stand for nobody but share a group are copies. */
export function prototypeMap(
  rows: Float32Array,
  width: number,
  group: Int32Array,
  title: string,
): string {
  const axes = principal(rows, width);
  const sizes = new Map<number, number>();
  for (const m of group) sizes.set(m, (sizes.get(m) ?? 0) + 1);
  const points = Array.from({ length: group.length }, (_, k) =>
    axes.map((axis) => axis.reduce((s, v, j) => s + v * rows[k * width + j]!, 0)),
  );
  const reach = Math.max(...points.flat().map(Math.abs), 1e-9);
  const dots = points.map(([x, y], k) => {
    const copy = sizes.get(group[k]!)! > 1 ? ' copy' : '';
    const at = (v: number) => (200 + (185 * v) / reach).toFixed(1);
    return `<circle class="dot${copy}" cx="${at(x!)}" cy="${at(y!)}" r="4"/>`;
  });
  return `<figure><figcaption>${title}</figcaption><svg class="map" viewBox="0 0 400 400" role="img" aria-label="${title}"><circle class="ring" cx="200" cy="200" r="190"/>${dots.join('')}</svg></figure>`;
}
