// Every op on the GPU: native cases against the CPU in f64, then the tests of TypeScript (values and
// gradients against their definitions and central differences), then the golden vectors.
import { join } from 'node:path';
import { node, ownLibraries, reasons, root, run } from '../process.mjs';
import { within } from '../schedule.mjs';
import { because } from '../summary.mjs';
import { nativeOps } from './native.mjs';

const width = 4; // test files at a time

/** Test files of TypeScript: how many tests passed, which did not. */
async function tests(name, files, until, env = {}) {
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs');
  const command = [node, ava, '--tap', '--concurrency', String(width), ...files];
  const result = await run(name, command, { until, env: { ...ownLibraries, ...env } });
  const { seconds, late } = result;
  const found = { passed: 0, skipped: 0, failed: [], seconds, late };
  for (const line of result.stdout.split('\n')) {
    const [, bad, title] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? [];
    if (!title) continue;
    if (/# (SKIP|TODO)/.test(title)) found.skipped++;
    else if (bad) found.failed.push(title);
    else found.passed++;
  }
  if (!late && result.status !== 0 && !found.failed.length) found.failed.push(...reasons(result));
  return found;
}

function counted(tests) {
  if (!tests) return 'not run';
  const { passed, skipped, failed, late } = tests;
  return `${passed} passed, ${failed.length} failed, ${skipped} skipped${late ? ', then no time left' : ''}`;
}

function state(native, typescript, golden) {
  const failed = [
    ...native.failed.map(because),
    ...(typescript?.failed ?? []),
    ...(golden?.failed ?? []),
  ];
  const right = native.ran - native.failed.length;
  const missing = native.programs - native.ran;
  const first = `${right} of ${native.programs} native parts${missing ? `, ${missing} not run` : ''}`;
  return {
    ...{ native, typescript, golden },
    ok: failed.length === 0,
    incomplete: missing > 0 || [typescript, golden].some((tests) => !tests || tests.late),
    said: [`${first}; tests ${counted(typescript)}; golden vectors ${counted(golden)}`, ...failed],
  };
}

/** None of the three may take all the time: kernels that hang leave some for the others. */
export async function ops({ until, patience, report }) {
  const part = { until: within(0.6, until), patience };
  const native = await nativeOps({ ...part, report: (found) => report(state(found)) });
  const files = ['dist/test/ops/*.js', 'dist/test/gpu/*.js'];
  const typescript = await tests('tests', files, within(0.6, until));
  report(state(native, typescript));
  const golden = await tests('golden', ['dist/test/golden/*.test.js'], until, {
    PROTEA_GOLDEN: join(root, 'golden'),
    PROTEA_GOLDEN_DEVICE: 'cuda',
  });
  return state(native, typescript, golden);
}
