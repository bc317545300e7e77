// Line charts as SVG text. Colours come from the page's style sheet.
import { escapeHtml } from './page.js';

export interface Series {
  name: string;
  /** x, y, and half the length of a line through the point, such as the deviation over seeds. */
  points: readonly (readonly [number, number, number?])[];
  /** Class of the line in the style sheet: "a", "b", "c", "d". */
  style: 'a' | 'b' | 'c' | 'd';
}

export interface ChartOptions {
  title: string;
  x: string;
  y: string;
  /** A horizontal line with its label. */
  level?: { value: number; name: string };
  /** Lowest value of the y axis; by default that of the data. */
  from?: number;
  /** Axes on which equal factors are equally far apart; points that are not positive are left out. */
  log?: 'x' | 'y' | 'xy';
}

export const frame = { width: 640, height: 280, left: 64, right: 16, top: 16, bottom: 40 };

/** Round numbers that divide [low, high] into about `count` parts. */
export function ticks(low: number, high: number, count: number): number[] {
  const raw = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((m) => m * power >= raw)! * power;
  const result: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) result.push(i * step);
  return result;
}

export const shown = (value: number) =>
  Math.abs(value) >= 1000 ? value.toLocaleString('en') : String(Number(value.toPrecision(4)));

interface Scale {
  place(value: number): number;
  /** Where labels stand, about `count` of them. */
  ticks(count: number): number[];
}

function scale(values: readonly number[], from: number, to: number, low?: number): Scale {
  const finite = values.filter(Number.isFinite);
  const least = low ?? Math.min(...finite);
  const most = Math.max(...finite, least + 1e-9);
  return {
    place: (value) => from + ((value - least) / (most - least)) * (to - from),
    ticks: (count) => ticks(least, most, count),
  };
}

/** Labels at 1, 2 and 5 times the powers of ten, or at the powers alone when there are many. */
function logScale(values: readonly number[], from: number, to: number): Scale {
  const logs = values.filter((value) => value > 0).map(Math.log10);
  const [least, most] = [Math.min(...logs), Math.max(...logs, Math.min(...logs) + 1e-9)];
  const factors = most - least < 2 ? [1, 2, 5] : [1];
  const labels: number[] = [];
  for (let power = Math.floor(least); power <= most; power++)
    for (const factor of factors) labels.push(factor * 10 ** power);
  return {
    place: (value) => from + ((Math.log10(value) - least) / (most - least)) * (to - from),
    ticks: () =>
      labels.filter((v) => Math.log10(v) >= least - 1e-9 && Math.log10(v) <= most + 1e-9),
  };
}

function axes(x: Scale, y: Scale, options: ChartOptions): string {
  const bottom = frame.height - frame.bottom;
  const right = frame.width - frame.right;
  const across = x
    .ticks(6)
    .map(
      (v) =>
        `<text class="tick" x="${x.place(v).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${shown(v)}</text>`,
    );
  const up = y.ticks(4).map((v) => {
    const at = y.place(v).toFixed(1);
    return `<line class="grid" x1="${frame.left}" x2="${right}" y1="${at}" y2="${at}"/><text class="tick" x="${frame.left - 8}" y="${at}" text-anchor="end" dominant-baseline="middle">${shown(v)}</text>`;
  });
  const names = `<text class="axis" x="${(frame.left + right) / 2}" y="${frame.height - 6}" text-anchor="middle">${escapeHtml(options.x)}</text><text class="axis" transform="translate(14 ${(frame.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(options.y)}</text>`;
  return [...up, ...across, names].join('');
}

/** Lines through the points that have a spread; on a logarithmic axis they end above zero. */
const spreads = (points: Series['points'], x: Scale, y: Scale): string =>
  points
    .filter(([, value, half = 0]) => half > 0 && Number.isFinite(y.place(value - half)))
    .map(([a, value, half = 0]) => {
      const [at, low, high] = [x.place(a), y.place(value - half), y.place(value + half)];
      return `<line class="spread" x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="${low.toFixed(1)}" y2="${high.toFixed(1)}"/>`;
    })
    .join('');

/** A chart of one or more series over a common x axis, with a legend below. */
export function lineChart(series: readonly Series[], options: ChartOptions): string {
  const drawn = series.map((one) => ({
    ...one,
    points: one.points.filter(
      ([a, b]) =>
        Number.isFinite(a) &&
        Number.isFinite(b) &&
        (a > 0 || !options.log?.includes('x')) &&
        (b > 0 || !options.log?.includes('y')),
    ),
  }));
  const all = drawn.flatMap(({ points }) => points);
  if (!all.length) return '';
  const ys = [...all.map((p) => p[1]), ...(options.level ? [options.level.value] : [])];
  const xs = all.map((p) => p[0]);
  const [left, right] = [frame.left, frame.width - frame.right];
  const [bottom, top] = [frame.height - frame.bottom, frame.top];
  const x = options.log?.includes('x') ? logScale(xs, left, right) : scale(xs, left, right);
  const y = options.log?.includes('y')
    ? logScale(ys, bottom, top)
    : scale(ys, bottom, top, options.from);
  const lines = drawn.map(({ points, style }) => {
    const path = points.map(([a, b]) => `${x.place(a).toFixed(1)},${y.place(b).toFixed(1)}`);
    return `<polyline class="line ${style}" points="${path.join(' ')}"/>${spreads(points, x, y)}`;
  });
  const level = options.level
    ? `<line class="level" x1="${frame.left}" x2="${frame.width - frame.right}" y1="${y.place(options.level.value)}" y2="${y.place(options.level.value)}"/><text class="tick" x="${frame.width - frame.right}" y="${y.place(options.level.value) - 5}" text-anchor="end">${escapeHtml(options.level.name)}</text>`
    : '';
  const legend = drawn
    .map(({ name, style }) => `<span class="key ${style}">${escapeHtml(name)}</span>`)
    .join('');
  return `<figure><figcaption>${escapeHtml(options.title)}</figcaption><svg viewBox="0 0 ${frame.width} ${frame.height}" role="img" aria-label="${escapeHtml(options.title)}">${axes(x, y, options)}${level}${lines.join('')}</svg><div class="legend">${legend}</div></figure>`;
}
