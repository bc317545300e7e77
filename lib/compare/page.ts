import { dotChart, escapeHtml, lineChart, page, type Series } from '../report/index.js';
import { experiments, type PaperExperiment } from './experiments.js';
import { type MeasureName, measures } from './measures.js';
import { grouped } from './statistics.js';
import { type Cell, type Summary, tableOf } from './summary.js';

const styles = ['a', 'b', 'c', 'd'] as const;

/** A line a variant over K, with the deviation over seeds at each point. */
function overPrototypes(cells: readonly Cell[], name: MeasureName): string {
  const swept = cells.filter(({ prototypes }) => prototypes !== null);
  const variants = [...grouped(swept, ({ variant }) => variant)];
  const series = variants.map(
    ([variant, own], i): Series => ({
      name: variant,
      style: styles[i % styles.length]!,
      points: own.map(({ prototypes, measures: found }) => {
        const { mean = Number.NaN, deviation = null } = found[name] ?? {};
        return [prototypes!, mean, deviation ?? 0] as const;
      }),
    }),
  );
  const { title } = measures[name];
  const log = name === 'unique' ? 'xy' : 'x';
  return lineChart(series, { title: `${title} against K`, x: 'K', y: title, log });
}

/** A row a variant, a dot a seed. */
function overVariants(cells: readonly Cell[], name: MeasureName): string {
  const rows = cells.flatMap(({ variant, measures: found }) =>
    found[name] ? [{ name: variant, values: found[name].values }] : [],
  );
  const { title, digits } = measures[name];
  return dotChart(rows, { title, digits });
}

function htmlTable(summary: Summary): string {
  const { head, rows } = tableOf(summary);
  const row = (cells: readonly string[], tag: 'td' | 'th') =>
    `<tr>${cells.map((cell, i) => `<${tag}${i ? ' class="n"' : ''}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<div class="scroll"><table>${row(head, 'th')}${rows.map((cells) => row(cells, 'td')).join('')}</table></div>`;
}

/** The page of an experiment: charts, table, and the settings that all runs share. */
export function comparisonPage(summary: Summary, settings: string): string {
  const { title, lead, charts, prototypes }: PaperExperiment = experiments[summary.experiment];
  const draw = prototypes ? overPrototypes : overVariants;
  const state = summary.complete ? '' : '<p>Not complete yet: the same command goes on.</p>';
  const body = `${state}<div class="charts">${charts.map((name) => draw(summary.cells, name)).join('')}</div>
<h2>Numbers</h2><p>Mean and standard deviation over seeds.</p>${htmlTable(summary)}
<h2>Settings of the first run</h2><pre>${escapeHtml(settings)}</pre>`;
  return page(title, lead, body);
}
