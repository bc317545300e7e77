import { frame, shown, ticks } from './chart.js';
import { escapeHtml } from './page.js';

export interface DotRow {
  name: string;
  /** One dot each; their mean is a line. */
  values: readonly number[];
}

const rowHeight = 30;
const names = 170;

/** Rows of dots on one scale, such as a dot a seed, with the mean marked and written beside them. */
export function dotChart(
  rows: readonly DotRow[],
  { title, digits }: { title: string; digits: number },
): string {
  const all = rows.flatMap(({ values }) => values);
  if (!all.length) return '';
  const margin = (Math.max(...all) - Math.min(...all)) * 0.08 || 1;
  const [least, most] = [Math.min(...all) - margin, Math.max(...all) + margin];
  const right = frame.width - 70;
  const x = (value: number) =>
    (names + ((value - least) / (most - least)) * (right - names)).toFixed(1);
  const bottom = frame.top + rows.length * rowHeight;
  const grid = ticks(least, most, 5).map(
    (v) =>
      `<line class="grid" x1="${x(v)}" x2="${x(v)}" y1="${frame.top}" y2="${bottom}"/><text class="tick" x="${x(v)}" y="${bottom + 16}" text-anchor="middle">${shown(v)}</text>`,
  );
  const drawn = rows.map(({ name, values }, i) => {
    const y = frame.top + (i + 0.5) * rowHeight;
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const dots = values.map((v) => `<circle class="seed" cx="${x(v)}" cy="${y}" r="4"/>`).join('');
    return `<text class="value" x="${names - 12}" y="${y + 4}" text-anchor="end">${escapeHtml(name)}</text>${dots}<line class="mean" x1="${x(mean)}" x2="${x(mean)}" y1="${y - 9}" y2="${y + 9}"/><text class="value" x="${right + 12}" y="${y + 4}">${mean.toFixed(digits)}</text>`;
  });
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="0 0 ${frame.width} ${bottom + 26}" role="img" aria-label="${escapeHtml(title)}">${grid.join('')}${drawn.join('')}</svg></figure>`;
}
