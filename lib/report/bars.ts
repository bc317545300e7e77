import { frame, shown } from './chart.js';
import { escapeHtml } from './page.js';

const widest = 90;

export interface Bar {
  name: string;
  value: number;
}

/** Bars with their values on top, on a logarithmic scale from below 1, so that 1 beside 10,000 is seen. */
export function barChart(bars: readonly Bar[], title: string, x: string, y: string): string {
  if (!bars.length) return '';
  const [bottom, top] = [frame.height - frame.bottom, frame.top + 14];
  const width = Math.min(widest, (frame.width - frame.left - frame.right) / bars.length);
  const most = Math.log10(2 * Math.max(...bars.map(({ value }) => value), 1));
  const drawn = bars.map(({ name, value }, i) => {
    const height = value > 0 ? (Math.log10(2 * value) / most) * (bottom - top) : 0;
    const [left, middle] = [frame.left + (i + 0.12) * width, frame.left + (i + 0.5) * width];
    return `<rect class="bar" x="${left.toFixed(1)}" y="${(bottom - height).toFixed(1)}" width="${(0.76 * width).toFixed(1)}" height="${height.toFixed(1)}"/><text class="value" x="${middle.toFixed(1)}" y="${(bottom - height - 5).toFixed(1)}" text-anchor="middle">${shown(value)}</text><text class="tick" x="${middle.toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${escapeHtml(name)}</text>`;
  });
  const names = `<text class="axis" x="${(frame.left + frame.width - frame.right) / 2}" y="${frame.height - 6}" text-anchor="middle">${escapeHtml(x)}</text><text class="axis" transform="translate(14 ${(frame.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(y)}</text>`;
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="0 0 ${frame.width} ${frame.height}" role="img" aria-label="${escapeHtml(title)}"><line class="grid" x1="${frame.left}" x2="${frame.width - frame.right}" y1="${bottom}" y2="${bottom}"/>${drawn.join('')}${names}</svg></figure>`;
}
