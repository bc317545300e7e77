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

for (const op of addon().ops()) {
  test(`${op} has a test`, (t) => {
    const camel = op.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    t.true(
      tests.includes(`'${op}'`) || new RegExp(`\\b${camel}\\(`).test(tests),
      `no test in test/ops names ${op}`,
    );
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
