import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { compareMethods, methodsTable, type RunResult } from '../../lib/compare/index.js';
import { temporaryFolder } from '../support/folder.js';
import { smallOverrides } from '../support/small-run.js';

const presets = ['dino-tiny', 'msn-tiny'];

async function compare(out: string, options: { secondsEach?: number; signal?: AbortSignal } = {}) {
  const rows: RunResult[] = [];
  const overrides = smallOverrides(options.secondsEach ? 1 : 6);
  for await (const row of compareMethods({ presets, overrides, out, ...options })) rows.push(row);
  return rows;
}

test.serial('each preset gives a row, and a finished one is read the second time', async (t) => {
  const out = join(temporaryFolder(t), 'runs');
  const rows = await compare(out);
  t.deepEqual(
    rows.map(({ preset, steps }) => [preset, steps]),
    presets.map((preset) => [preset, 6]),
  );
  for (const { knn, untrained, prototypes, mlcd, imagesPerSecond } of rows) {
    t.true(knn!.top1 >= 0 && untrained!.top1 >= 0 && imagesPerSecond > 0);
    t.is(prototypes.total, 64);
    t.true(mlcd!.all > 0 && mlcd!.all <= mlcd!.most + 1e-6);
  }
  t.deepEqual(await compare(out), rows);
  const table = methodsTable(rows);
  t.is(table.split('\n').length, 4);
  t.regex(table, /`msn-tiny` \| 6 \|/);
});

test.serial('a budget settles the steps once', async (t) => {
  const out = join(temporaryFolder(t), 'runs');
  const rows = await compare(out, { secondsEach: 0.5 });
  for (const { preset, steps } of rows) {
    const kept = JSON.parse(readFileSync(join(out, preset, 'steps.json'), 'utf8'));
    t.is(kept.steps, steps);
    t.true(steps >= 1);
  }
  await t.throwsAsync(compare(out, { secondsEach: 30 }), {
    code: 'ERR_PROTEA_CONFIG',
    message: /optim\.steps/,
  });
});

test.serial('a stop is heeded while a budget is measured', async (t) => {
  const out = join(temporaryFolder(t), 'runs');
  const measuring = () => existsSync(join(out, 'speed', 'metrics.jsonl'));
  const controller = new AbortController();
  const watch = setInterval(() => measuring() && controller.abort(), 5);
  t.deepEqual(await compare(out, { secondsEach: 60, signal: controller.signal }), []);
  clearInterval(watch);
  t.true(measuring());
  t.false(existsSync(join(out, 'dino-tiny', 'steps.json')));
});

test.serial('a comparison that was stopped has no row for what is not finished', async (t) => {
  const out = join(temporaryFolder(t), 'runs');
  const controller = new AbortController();
  controller.abort();
  t.deepEqual(await compare(out, { signal: controller.signal }), []);
  t.false(existsSync(join(out, 'dino-tiny', 'result.json')));
});
