// Every op has a test, a row in docs/ops.md, and a gradient that is either tested or said to be absent.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { addon, packageRoot } from '../lib/native.js';

const root = packageRoot();
const tests = readdirSync(join(root, 'test', 'ops'))
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(join(root, 'test', 'ops', name), 'utf8'))
  .join('\n');
const docs = readFileSync(join(root, 'docs', 'ops.md'), 'utf8');

for (const op of addon().ops()) {
  const camel = op.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  test(`${op} has a test and a row in docs/ops.md`, (t) => {
    t.true(tests.includes(`'${op}'`) || new RegExp(`\\b${camel}\\(`).test(tests), `no test in test/ops names ${op}`);
    t.true(docs.includes(`| \`${op}\` |`), `docs/ops.md has no row for ${op}`);
  });
}
