// Every op of the runtime is tested, and its contract stands in docs/ops.md.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { addon, packageRoot } from '../lib/native.js';

const root = packageRoot();
const tests = readdirSync(join(root, 'test', 'ops'))
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(join(root, 'test', 'ops', name), 'utf8'))
  .join('\n');

/** Ops that checkOp does not fit, as they change their inputs or return whole numbers, and who calls them. */
const byTheirCaller: Record<string, RegExp> = {
  adamw: /\badamw\(/,
  ema_update: /\bemaUpdate\(/,
  gmm_responsibilities: /\bgmmResponsibilities\(/,
  gmm_update: /\bgmmUpdate\(/,
  knn_top_k: /\bknnTopK\(/,
  log_ema_update: /\blogEmaUpdate\(/,
  prototype_sinkhorn: /\bprototypeSinkhorn\(/,
  unique_prototypes: /\buniquePrototypes\(/,
};

for (const op of addon().ops()) {
  test(`${op} has a test`, (t) => {
    const call = byTheirCaller[op] ?? new RegExp(`\\bop: '${op}'`);
    t.regex(tests, call, `no test in test/ops checks ${op}`);
  });
}

for (const [page, script] of [
  ['docs/ops.md', 'docs-ops.mjs'],
  ['docs/config.md', 'docs-config.mjs'],
]) {
  test(`${page} says what the sources say`, (t) => {
    const path = join(root, 'scripts', script!);
    const { status, stderr } = spawnSync(process.execPath, [path, '--check'], { encoding: 'utf8' });
    t.is(status, 0, stderr);
  });
}
