import { card, escapeHtml, lineChart, page, prototypeMap, type Series } from '../report/index.js';
import type { LabRun } from './lab.js';
import { type LabName, labRuns, setting } from './setting.js';

const titleOf = (name: LabName) => labRuns[name].title;
const styles = ['a', 'b', 'c', 'd'] as const;

const series = (runs: readonly LabRun[], value: 'loss' | 'unique'): Series[] =>
  runs.map(({ name, points }, i) => ({
    name: titleOf(name),
    style: styles[i % styles.length]!,
    points: points.map((point) => [point.step, point[value]] as const),
  }));

function row({ name, loss, prototypes, mlcd }: LabRun): string {
  const cells = [
    titleOf(name),
    loss.toFixed(3),
    `${prototypes.unique} of ${prototypes.total}`,
    String(prototypes.redundancy.max),
    mlcd.all.entropy.toFixed(2),
    mlcd.unique.entropy.toFixed(2),
  ];
  return `<tr>${cells.map((cell, i) => `<td${i ? ' class="n"' : ''}>${cell}</td>`).join('')}</tr>`;
}

/** The page of the laboratory: what was done, the curves, the two maps. */
export function labPage(runs: readonly LabRun[], seconds: number): string {
  const { clusters, inputs, prototypes, bottleneck, steps, epsilon } = setting;
  const charts = [
    lineChart(series(runs, 'unique'), {
      title: `Unique prototypes (greedy, epsilon ${epsilon})`,
      x: 'step',
      y: 'prototypes',
      from: 0,
      level: { value: prototypes, name: 'all' },
    }),
    lineChart(series(runs, 'loss'), {
      title: 'DINO loss: it does not show the collapse',
      x: 'step',
      y: 'nats',
      from: 0,
    }),
  ];
  const maps = runs.map(({ name, directions, group }) =>
    prototypeMap(directions, bottleneck, group, `${titleOf(name)}: prototypes on the sphere`),
  );
  const head = ['run', 'DINO loss', 'unique', 'largest group', 'MLCD entropy', 'over unique'];
  const body = `<div class="cards">${runs.map((run) => card(`${run.prototypes.unique} of ${run.prototypes.total}`, titleOf(run.name))).join('')}${card(`${seconds.toFixed(1)} s`, `${runs.length} runs`)}</div>
<p>A mixture of ${clusters} clusters in ${inputs} dimensions, a three-layer head with ${prototypes} prototypes in ${bottleneck} dimensions, ${steps} steps, once for each run: ${runs.map(({ name }) => titleOf(name)).join(', ')}. In plain DINO most prototypes become copies of each other while the loss and the entropy of the assignments look as they do with KoLeo-proto.</p>
<div class="charts">${charts.join('')}</div>
<h2>Where the prototypes are</h2><p>First two principal directions. A red point shares its place with copies of itself.</p><div class="charts">${maps.join('')}</div>
<h2>Numbers</h2><table><tr>${head.map((name, i) => `<th${i ? ' class="n"' : ''}>${escapeHtml(name)}</th>`).join('')}</tr>${runs.map(row).join('')}</table>`;
  return page('The collapse laboratory', 'Partial prototype collapse, and what prevents it', body);
}
