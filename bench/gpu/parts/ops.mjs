// Every op on the GPU: native cases against the CPU in f64, then the tests of TypeScript (values and
// gradients against their definitions and central differences), then the golden vectors.
import { join } from 'node:path';
import { jsonLines, native, node, ownLibraries, pool, root, run, tail } from '../process.mjs';

const width = 4; // programs at a time

/** Matrix products by cuBLASLt, where the machine has it, and by our own kernels. */
const products = [['products'], ['products', 'own']];

/** A program an op: what a broken kernel does to its process stays there. */
export async function nativeOps(until, wanted = () => true) {
  const { text } = await run('list', [native, 'list'], { until });
  const ops = text.split('\n').filter((line) => /^[a-z][a-z_0-9]*$/.test(line) && wanted(line));
  const parts = [
    ['machine'],
    ['nearest'],
    ...products,
    ...ops.map((op) => ['agreement', `${op} `]),
  ];
  const jobs = parts.map((part) => async () => {
    const name = part.join(' ').trim();
    const env = part[1] === 'own' ? { PROTEA_CUBLASLT: 'off' } : {};
    return { name, ...(await run(`native ${name}`, [native, ...part], { until, env })) };
  });
  const done = await pool(jobs, width, until);
  const failed = done.flatMap((job, i) => {
    if (!job) return [{ name: parts[i].join(' ').trim(), why: ['no time left'] }];
    if (job.status === 0) return [];
    return [{ name: job.name, why: [...(job.late ? ['no time left'] : []), ...tail(job.text)] }];
  });
  const errors = done.flatMap((job) => (job ? jsonLines(job.text) : []));
  return { programs: parts.length, errors, failed };
}

/** Test files of TypeScript: how many tests passed, which did not. */
export async function tests(name, files, until, env = {}) {
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs');
  const command = [node, ava, '--tap', '--concurrency', String(width), ...files];
  const result = await run(name, command, { until, env: { ...ownLibraries, ...env } });
  const found = { passed: 0, skipped: 0, failed: [], seconds: result.seconds };
  for (const line of result.text.split('\n')) {
    const [, bad, title] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? [];
    if (!title) continue;
    if (/# (SKIP|TODO)/.test(title)) found.skipped++;
    else if (bad) found.failed.push(title);
    else found.passed++;
  }
  if (result.late) found.failed.push('no time left');
  else if (result.status !== 0 && !found.failed.length) found.failed.push(...tail(result.text));
  return found;
}

export async function ops({ until }) {
  const own = await nativeOps(until);
  const typescript = await tests('tests', ['dist/test/ops/*.js', 'dist/test/gpu/*.js'], until);
  const golden = await tests('golden', ['dist/test/golden/*.test.js'], until, {
    PROTEA_GOLDEN: join(root, 'golden'),
    PROTEA_GOLDEN_DEVICE: 'cuda',
  });
  const failed = own.failed.length + typescript.failed.length + golden.failed.length;
  return { ok: failed === 0, native: own, typescript, golden };
}
