// The page of a diagnosis, from plain numbers.
import { barChart } from './bars.js';
import { lineChart, shown } from './chart.js';
import { card, escapeHtml, page } from './page.js';
import { type PlacedGroup, redundancyMap } from './redundancy-map.js';

interface Spread {
  entropy: number;
  perplexity: number;
  klToUniform: number;
}

interface Spans {
  min: number;
  median: number;
  max: number;
  mean: number;
}

export interface DiagnosisPageHead {
  name: string;
  total: number;
  dim: number;
  unique: number;
  epsilon: number;
  rule: string;
  redundancy: { max: number; mean: number; histogram: Record<string, number> };
  curve: readonly { epsilon: number; greedy: number; components: number }[];
  groups: readonly { row: number; size: number; examples?: readonly string[] }[];
  neighbours: { distance: Spans; koleo: number } | null;
  effectiveRank: number | null;
  norms: Spans;
  kappa: (Spans & { temperature: number }) | null;
  dead: number;
  mlcd: {
    all: Spread;
    unique: Spread;
    images: number;
    imageEntropy: number;
    latentClasses: number;
    classSize: { max: number; mean: number };
    unused: number;
    nmi: number | null;
    temperature: number;
    centred: boolean;
    batchStatistics: boolean;
  } | null;
  /** Mean assignment (K) and that of unique prototypes (M), relative to even ones, falling. */
  shares?: { all: readonly number[]; unique: readonly number[] };
  map?: readonly PlacedGroup[];
  busiest?: readonly { row: number; images: number; examples: readonly string[] }[];
}

export interface DiagnosisPageData {
  file: string;
  format: string;
  verdict: string;
  /** Name of the head that the verdict speaks of. */
  worst: string;
  heads: readonly DiagnosisPageHead[];
  /** Counts over training, by head. */
  trend?: readonly { head: string; points: readonly (readonly [number, number])[] }[];
  /** What the trend's points are numbered by. */
  trendAxis?: string;
}

const code = (text: string) => `<code>${escapeHtml(text)}</code>`;
const fixed = (value: number, digits = 3) => String(Number(value.toPrecision(digits)));

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell, i) => `<${tag}${i ? ' class="n"' : ''}>${cell}</${tag}>`).join('')}</tr>`;
  return `<div class="scroll"><table>${line(head.map(escapeHtml), 'th')}${rows.map((row) => line(row, 'td')).join('')}</table></div>`;
}

function cards(head: DiagnosisPageHead): string {
  const { unique, total, dim, redundancy, effectiveRank, neighbours, mlcd, dead } = head;
  return [
    card(
      `${shown(unique)} of ${shown(total)}`,
      `distinct prototypes (${((100 * unique) / total).toFixed(1)} %)`,
    ),
    card(shown(redundancy.max), 'copies in the largest group'),
    card(redundancy.mean.toFixed(2), 'prototypes per distinct one'),
    ...(effectiveRank === null
      ? []
      : [card(`${effectiveRank.toFixed(0)} of ${dim}`, 'effective rank')]),
    ...(neighbours
      ? [card(fixed(neighbours.distance.median), 'median distance to the nearest other')]
      : []),
    ...(mlcd
      ? [card(shown(Math.round(mlcd.unique.perplexity)), 'distinct prototypes in use (perplexity)')]
      : []),
    ...(dead ? [card(shown(dead), 'dead prototypes (no length)')] : []),
  ].join('');
}

/** At most `most` points of a falling curve, by its rank as a share. */
function thinned(values: readonly number[], most = 400): [number, number][] {
  const step = Math.max(1, Math.floor(values.length / most));
  return values.flatMap((value, i): [number, number][] =>
    i % step === 0 || i === values.length - 1 ? [[(i + 1) / values.length, value]] : [],
  );
}

function charts(head: DiagnosisPageHead): string {
  const bars = Object.entries(head.redundancy.histogram).map(([name, value]) => ({ name, value }));
  const curve = (of: 'greedy' | 'components') =>
    head.curve.map((point) => [point.epsilon, point[of]] as const);
  return [
    barChart(
      bars,
      'Redundancy: how many prototypes a distinct one stands for',
      'copies r_m',
      'distinct prototypes (log)',
    ),
    lineChart(
      [
        { name: 'greedy', style: 'b', points: curve('greedy') },
        { name: 'connected components', style: 'a', points: curve('components') },
      ],
      {
        title: 'Distinct prototypes against epsilon',
        x: 'epsilon: cosine distance of copies (log)',
        y: 'prototypes',
        from: 0,
        log: 'x',
        level: { value: head.total, name: 'all' },
      },
    ),
    head.shares
      ? lineChart(
          [
            { name: 'over all prototypes', style: 'b', points: thinned(head.shares.all) },
            { name: 'over distinct ones', style: 'a', points: thinned(head.shares.unique) },
          ],
          {
            title: 'Mean assignment (MLCD), relative to an even one',
            x: 'prototypes by falling share',
            y: 'times even (log)',
            log: 'y',
            level: { value: 1, name: 'even' },
          },
        )
      : '',
  ].join('');
}

function mlcdTable({ mlcd, total, unique }: DiagnosisPageHead): string {
  if (!mlcd)
    return '<p>How images spread over the prototypes needs images: <code>--data</code> and a backbone in the file.</p>';
  const row = (name: string, spread: Spread, count: number) => [
    name,
    fixed(spread.entropy, 4),
    fixed(Math.log(count), 4),
    fixed(spread.klToUniform),
    shown(Math.round(spread.perplexity)),
    shown(count),
  ];
  const nmi =
    mlcd.nmi === null ? '' : ` Latent classes and labels share an NMI of ${mlcd.nmi.toFixed(3)}.`;
  return `${table(
    ['MLCD', 'entropy (nats)', 'at most', 'KL to even', 'effective number', 'prototypes'],
    [row('over all prototypes', mlcd.all, total), row('over distinct ones', mlcd.unique, unique)],
  )}<p>${shown(mlcd.images)} images, temperature ${fixed(mlcd.temperature)}${mlcd.centred ? ', centred as in training' : ', not centred'}${mlcd.batchStatistics ? ', batch norm by these images' : ''}. One image alone: ${fixed(mlcd.imageEntropy)} nats. ${shown(mlcd.latentClasses)} latent classes have an image, the largest ${shown(mlcd.classSize.max)}; ${shown(mlcd.unused)} prototypes are no image's first.${nmi}</p>`;
}

const thumbs = (examples: readonly string[] = []) =>
  `<div class="thumbs">${examples.map((uri) => `<img src="${uri}" alt="">`).join('')}</div>`;

function classTable({ busiest }: DiagnosisPageHead): string {
  if (!busiest?.length) return '';
  return `<figure><figcaption>Latent classes with most images</figcaption>${table(
    ['first row', 'images', 'the surest of them'],
    busiest.map(({ row, images, examples }) => [String(row), shown(images), thumbs(examples)]),
  )}</figure>`;
}

function groupTable({ groups }: DiagnosisPageHead): string {
  const copied = groups.filter(({ size }) => size > 1).slice(0, 12);
  if (!copied.length) return '';
  const pictured = copied.some(({ examples }) => examples?.length);
  return `<figure><figcaption>Largest groups of copies</figcaption>${table(
    ['first row', 'copies r_m', ...(pictured ? ['images it takes most surely'] : [])],
    copied.map(({ row, size, examples }) => [
      String(row),
      shown(size),
      ...(pictured ? [thumbs(examples)] : []),
    ]),
  )}</figure>`;
}

function headTable(heads: readonly DiagnosisPageHead[]): string {
  const columns = [
    'head',
    'K',
    'distinct',
    'share',
    'largest',
    'rank',
    'nearest',
    'KoLeo',
    'length',
    'kappa',
    'dead',
  ];
  const rows = heads.map((head) => [
    code(head.name),
    shown(head.total),
    shown(head.unique),
    `${((100 * head.unique) / head.total).toFixed(1)} %`,
    shown(head.redundancy.max),
    head.effectiveRank === null ? '' : head.effectiveRank.toFixed(1),
    head.neighbours ? fixed(head.neighbours.distance.median) : '',
    head.neighbours ? fixed(head.neighbours.koleo) : '',
    `${fixed(head.norms.min)}-${fixed(head.norms.max)}`,
    head.kappa ? `${fixed(head.kappa.min)}-${fixed(head.kappa.max)}` : '',
    shown(head.dead),
  ]);
  return `<h2>All heads</h2>${table(columns, rows)}`;
}

const trendStyles = ['b', 'a', 'c', 'd'] as const;

function trendChart({ trend, trendAxis }: DiagnosisPageData): string {
  if (!trend) return '';
  const series = trend.map(({ head, points }, i) => ({
    name: head,
    points,
    style: trendStyles[i % trendStyles.length]!,
  }));
  return `<h2>Over training</h2><div class="charts">${lineChart(series, { title: 'Distinct prototypes', x: trendAxis ?? 'checkpoint', y: 'prototypes', from: 0 })}</div>`;
}

/** One file: the verdict, the charts of the head it speaks of, the table of all. */
export function diagnosisPage(data: DiagnosisPageData): string {
  const head = data.heads.find(({ name }) => name === data.worst) ?? data.heads[0]!;
  const shownPoints = head.map?.length ?? 0;
  const part = shownPoints < head.unique ? `${shown(shownPoints)} of ${shown(head.unique)} ` : '';
  const body = `<p class="verdict">${escapeHtml(data.verdict)}.</p><div class="cards">${cards(head)}</div>
${trendChart(data)}
<h2>${code(head.name)}</h2><div class="charts">${charts(head)}</div>
<h2>How images use them</h2>${mlcdTable(head)}
<h2>Where they lie</h2><div class="charts">${redundancyMap(head.map ?? [], `The ${part}distinct prototypes by t-SNE, coloured by the copies r_m each stands for`)}${groupTable(head)}${classTable(head)}</div>
${headTable(data.heads)}
<p class="lead">Copies: cosine distance below ${head.epsilon}, ${escapeHtml(head.rule)} rule. Nearest: median cosine distance to the nearest other prototype. Rank: exp of the entropy of the singular values. Length: learnt magnitude, or that of the row; kappa: magnitude over temperature.</p>`;
  return page('Prototype diagnosis', `${data.file} (${data.format})`, body);
}
