// The small cases of every op under compute-sanitizer, one tool after another.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { native, pool, root, run, tail } from '../process.mjs';

const tools = ['memcheck', 'racecheck', 'synccheck', 'initcheck'];
const width = 6;

function sanitizer() {
  const toolkit = process.env.CUDA_HOME ?? '/usr/local/cuda';
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    join(toolkit, 'bin'),
    join(toolkit, 'compute-sanitizer'),
  ];
  return folders.map((folder) => join(folder, 'compute-sanitizer')).find(existsSync);
}

function job(program, tool, part, until) {
  const test = join(root, 'build', 'cuda', 'protea-native-test');
  const command = [program, '--tool', tool, '--error-exitcode', '9', test, ...part];
  return async () => {
    const name = `${tool} ${part.join(' ').trim()}`;
    const env = { LD_LIBRARY_PATH: join(root, 'lib') };
    const { status, late, text } = await run(`sanitize ${name}`, command, { until, env });
    return { name, status, late, why: status === 0 ? [] : tail(text) };
  };
}

export async function sanitize({ until }) {
  const program = sanitizer();
  if (!program) return { ok: true, skipped: 'no compute-sanitizer on this machine' };
  const { text } = await run('list', [native, 'list'], { until });
  const names = text.split('\n').filter((line) => /^[a-z][a-z_0-9]*$/.test(line));
  const parts = [['machine'], ...names.map((op) => ['agreement', `${op} `])];
  const jobs = tools.flatMap((tool) => parts.map((part) => job(program, tool, part, until)));
  const results = await pool(jobs, width, until);
  const done = results.filter((result) => result && !result.late);
  const failed = done.filter((result) => result.status !== 0);
  return { ok: failed.length === 0, planned: jobs.length, done: done.length, failed };
}
