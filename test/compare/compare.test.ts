import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import {
  type CompareOptions,
  compare,
  type ExperimentName,
  experimentNames,
  experiments,
  type PaperExperiment,
  plan,
  type Summary,
  spreadOver,
  spreadText,
  summaryTable,
} from '../../lib/compare/index.js';
import { checkConfig, loadConfig } from '../../lib/train/index.js';
import { temporaryFolder } from '../support/folder.js';
import { smallOverrides } from '../support/small-run.js';

const small = smallOverrides(4, [
  'optim.batch=8',
  'data.source=flora:images=130,classes=6,size=20,longtail=20',
  'eval.maxImages=200',
]);

async function summaries(
  experiment: ExperimentName,
  out: string,
  options: Partial<CompareOptions> = {},
): Promise<Summary[]> {
  const found: Summary[] = [];
  for await (const summary of compare({ experiment, out, seeds: 2, overrides: small, ...options }))
    found.push(summary);
  return found;
}

for (const name of experimentNames)
  test(`${name}: every run's settings fit together`, async (t) => {
    const experiment: PaperExperiment = experiments[name];
    const runs = plan(experiment, { seeds: 2, overrides: [] });
    const counts = experiment.prototypes?.length ?? 1;
    t.is(runs.length, 2 * counts * experiment.variants.length);
    t.is(new Set(runs.map((run) => run.name)).size, runs.length);
    for (const { preset, overrides, seed } of runs) {
      const config = await loadConfig({ preset, overrides });
      t.notThrows(() => checkConfig(config));
      t.is(config.seed, seed);
    }
  });

test('mean and deviation over seeds leave out what is not known', (t) => {
  t.deepEqual(spreadOver([1, null, 3]), { values: [1, 3], mean: 2, deviation: Math.SQRT2 });
  t.is(spreadOver([undefined, null]), null);
  t.is(spreadText(spreadOver([2]), 1), '2.0');
  t.is(spreadText(spreadOver([1, 3]), 1), '2.0 ± 1.4');
  t.is(spreadText(null, 1), '-');
});

test.serial(
  'prototypes: a cell for each variant and K, and finished runs are read again',
  async (t) => {
    const out = join(temporaryFolder(t), 'compare');
    const options = { prototypes: [32, 64], variants: ['baseline', 'koleo-proto'] };
    const found = await summaries('prototypes', out, options);
    t.is(found.length, 8);
    t.deepEqual(
      found.map(({ complete }) => complete),
      [...Array(7).fill(false), true],
    );
    const last = found.at(-1)!;
    t.deepEqual(
      last.cells.map((cell) => [cell.variant, cell.prototypes, cell.seeds.length]),
      [
        ['baseline', 32, 2],
        ['koleo-proto', 32, 2],
        ['baseline', 64, 2],
        ['koleo-proto', 64, 2],
      ],
    );
    t.is(last.cells[0]!.measures.unique!.values.length, 2);
    t.deepEqual(JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')), last);
    const page = readFileSync(join(out, 'index.html'), 'utf8');
    t.regex(page, /unique prototypes against K/);
    t.is(page.match(/<polyline/g)!.length, 8, 'two lines in each of four charts');
    t.regex(readFileSync(join(out, 'table.md'), 'utf8'), /\| baseline \| 32 \| .* \| 2 \|/);
    t.deepEqual((await summaries('prototypes', out, options)).at(-1), last);
    await t.throwsAsync(
      summaries('prototypes', out, { ...options, overrides: [...small, 'optim.lr=0.1'] }),
      { code: 'ERR_PROTEA_CONFIG', message: /other settings/ },
    );
  },
);

test.serial('targets: a row each, and what was stopped says that it is not complete', async (t) => {
  const out = join(temporaryFolder(t), 'compare');
  const controller = new AbortController();
  const first = await summaries('targets', out, {
    seeds: 1,
    signal: controller.signal,
    onEvent: (run) => run.startsWith('logit-centering') && controller.abort(),
  });
  t.is(first.length, 1);
  t.regex(readFileSync(join(out, 'index.html'), 'utf8'), /Not complete yet/);
  const last = (await summaries('targets', out, { seeds: 1 })).at(-1)!;
  t.true(last.complete);
  t.is(last.cells.length, 6);
  const { unique, knn } = last.cells.at(-1)!.measures;
  t.true(unique === null && knn!.mean >= 0, 'of an untrained network only the features are judged');
  const table = summaryTable(last);
  t.regex(table, /\| sinkhorn \| [\d.]+ \| 64 \| [\d.]+ \| [\d.]+ \| 1 \|/);
});

test.serial('long-tail: kNN and linear by thirds of the classes', async (t) => {
  const out = join(temporaryFolder(t), 'compare');
  const options = { seeds: 1, variants: ['baseline'] };
  const { cells, runs } = (await summaries('long-tail', out, options)).at(-1)!;
  for (const { measures } of cells)
    for (const name of ['knnHead', 'knnTail', 'linear', 'linearHead', 'linearTail'] as const)
      t.true(measures[name]!.mean >= 0, name);
  t.true(runs[0]!.linear!.strength > 0 && existsSync(join(out, 'baseline-seed0', 'result.json')));
});
