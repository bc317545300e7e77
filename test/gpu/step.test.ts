// The whole step that bench/gpu times, on a GPU or on an emulated one.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../lib/native.js';
import { gpu } from '../../lib/tensor/index.js';

const title = 'bench/gpu/step.mjs times a step in bf16 and says its shape and memory';
const body = gpu().ready ? test : test.skip;

body(gpu().ready ? title : `${title} (needs a GPU: ${gpu().reason})`, (t) => {
  t.timeout(600_000);
  const script = join(packageRoot(), 'bench', 'gpu', 'step.mjs');
  const { stdout, stderr } = spawnSync(process.execPath, [script, '16'], { encoding: 'utf8' });
  const lines = stdout.trim().split('\n');
  const line = JSON.parse(lines.at(-1) || 'null');
  t.is(line?.op, 'step', stderr);
  t.is(line.precision, 'bf16');
  t.is(line.shape.prototypes, 64);
  t.true(line.ms_min > 0 && line.ms_min <= line.ms_median);
  t.true(line.bytes > 0);
  t.is(lines.length, 2);
  t.true(line.graphs_ms > 0);
});
