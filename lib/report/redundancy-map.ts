/** A unique prototype in the plane, with the number of copies it stands for. */
export interface PlacedGroup {
  x: number;
  y: number;
  size: number;
}

/** Classes of redundancy: up to so many copies; each has a colour r1 ... r5 and a radius. */
const classes = [
  { most: 1, name: '1 (no copy)', radius: 2.4 },
  { most: 4, name: '2-4', radius: 3 },
  { most: 16, name: '5-16', radius: 4 },
  { most: 64, name: '17-64', radius: 5.5 },
  { most: Number.POSITIVE_INFINITY, name: 'more than 64', radius: 7.5 },
];

const classOf = (size: number) => classes.findIndex(({ most }) => size <= most);
const [side, margin] = [640, 16];

/** Unique prototypes in the plane, coloured by r_m; those with most copies are drawn last, on top. */
export function redundancyMap(points: readonly PlacedGroup[], title: string): string {
  if (!points.length) return '';
  const bounds = (values: number[]) => [Math.min(...values), Math.max(...values)] as const;
  const [left, right] = bounds(points.map(({ x }) => x));
  const [top, bottom] = bounds(points.map(({ y }) => y));
  const reach = Math.max(right - left, bottom - top, 1e-9);
  const place = (value: number, low: number, high: number) =>
    (side / 2 + ((value - (low + high) / 2) / reach) * (side - 2 * margin)).toFixed(1);
  const dots = points
    .toSorted((a, b) => a.size - b.size)
    .map(({ x, y, size }) => {
      const kind = classOf(size);
      return `<circle class="r${kind + 1}" cx="${place(x, left, right)}" cy="${place(y, top, bottom)}" r="${classes[kind]!.radius}"/>`;
    });
  const counts = classes.map((_, i) => points.filter(({ size }) => classOf(size) === i).length);
  const legend = classes.map(
    ({ name }, i) =>
      `<span class="dot-key"><svg viewBox="0 0 12 12"><circle class="r${i + 1}" cx="6" cy="6" r="5"/></svg>${name}: ${counts[i]}</span>`,
  );
  return `<figure><figcaption>${title}</figcaption><svg class="places" viewBox="0 0 ${side} ${side}" role="img" aria-label="${title}">${dots.join('')}</svg><div class="legend" style="padding-left:0">${legend.join('')}</div></figure>`;
}
