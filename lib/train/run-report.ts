import { verdict } from '../diagnose/index.js';
import { card, escapeHtml, lineChart, page, type Series } from '../report/index.js';
import { recipes } from '../ssl/index.js';
import type { TrainConfig } from './config.js';
import { configText } from './config-file.js';
import type { EndEvent } from './events.js';
import { writeAtomic } from './files.js';
import { snakeCase } from './metric-lines.js';
import type { Metrics, RunFolder } from './run-folder.js';

function series(metrics: readonly Metrics[], key: string, name: string, style: Series['style']) {
  const points = metrics.flatMap((line): [number, number][] =>
    typeof line[key] === 'number' ? [[line._step, line[key]]] : [],
  );
  return { name, style, points };
}

const styles = ['a', 'b', 'c', 'd'] as const;
/** Numbers of a step that are no part of its loss. */
const notLosses = ['train/loss', 'train/lr', 'train/gradient_norm'];

/** What else the loss was made of, or nothing. */
function otherLosses(metrics: readonly Metrics[], main: string): string {
  const names = new Set(metrics.flatMap((line) => Object.keys(line)));
  const others = [...names].filter(
    (name) => name.startsWith('train/') && !notLosses.includes(name) && name !== main,
  );
  if (!others.length) return '';
  const lines = others.map((name, i) =>
    series(metrics, name, name.replace('train/', ''), styles[i % styles.length]!),
  );
  return lineChart(lines, { title: 'Other losses, before their weights', x: 'step', y: 'nats' });
}

function charts(metrics: readonly Metrics[], config: TrainConfig): string {
  const K = config.head.prototypes;
  const of = (key: string, name: string, style: Series['style']) =>
    series(metrics, key, name, style);
  const { loss } = recipes[config.method].main;
  return [
    lineChart([of(`train/${snakeCase(loss)}`, loss, 'b')], {
      title: `Loss (${loss})`,
      x: 'step',
      y: 'nats',
      level: { value: Math.log(K), name: 'ln K: nothing learnt' },
    }),
    otherLosses(metrics, `train/${snakeCase(loss)}`),
    lineChart(
      [of('diag/unique_teacher', 'teacher', 'b'), of('diag/unique_student', 'student', 'a')],
      {
        title: `Unique prototypes at epsilon ${config.run.epsilon}`,
        x: 'step',
        y: 'prototypes',
        from: 0,
        level: { value: K, name: 'all' },
      },
    ),
    lineChart(
      [
        of('diag/mlcd_entropy', 'over all prototypes', 'b'),
        of('diag/mlcd_entropy_unique', 'over unique ones', 'c'),
      ],
      { title: 'Entropy of the marginal assignment (MLCD)', x: 'step', y: 'nats', from: 0 },
    ),
    lineChart([of('sys/img_per_s', 'images a second', 'd')], {
      title: 'Speed',
      x: 'step',
      y: 'images / s',
      from: 0,
    }),
  ].join('');
}

/** Writes the page of a run: counts, curves and settings. */
export async function writeTrainReport(
  folder: RunFolder,
  config: TrainConfig,
  end: EndEvent,
): Promise<void> {
  const { total, unique } = end.prototypes;
  const cards = [
    card(`${unique} of ${total}`, 'unique prototypes (teacher)'),
    card(end.prototypes.redundancy.mean.toFixed(2), 'prototypes per unique one'),
    ...(end.mlcd
      ? [card(end.mlcd.all.perplexity.toFixed(0), 'prototypes in use (perplexity)')]
      : []),
    ...(end.knn ? [card(`${end.knn.top1.toFixed(1)} %`, `kNN top-1, k = ${end.knn.k}`)] : []),
    card(String(end.steps), 'steps'),
  ];
  const metrics = await folder.readMetrics();
  const body = `<div class="cards">${cards.join('')}</div><p>${escapeHtml(verdict(end.prototypes))}.</p>
<div class="charts">${charts(metrics, config)}</div>
<h2>Settings</h2><pre>${escapeHtml(configText(config))}</pre>`;
  await writeAtomic(
    folder.report,
    page('Training run', `${config.method} on ${config.data.source}`, body),
  );
}
