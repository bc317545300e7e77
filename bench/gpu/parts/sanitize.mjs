// The small cases of every op under compute-sanitizer: op by op with the two tools that find most, then
// op by op with the others, so that time that runs out leaves no op unseen.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { native, pool, reasons, run } from '../process.mjs';
import { because } from '../summary.mjs';
import { agreements } from './native.mjs';

const rounds = [
  ['memcheck', 'racecheck'],
  ['synccheck', 'initcheck'],
];
const width = 6;
const limit = 30; // seconds a run

function sanitizer() {
  const toolkit = process.env.CUDA_HOME ?? '/usr/local/cuda';
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    join(toolkit, 'bin'),
    join(toolkit, 'compute-sanitizer'),
  ];
  return folders.map((folder) => join(folder, 'compute-sanitizer')).find(existsSync);
}

/** Its words. Errors of calls are none of its business: some are part of the tests, all are checked. */
const under = (program, tool) => [
  ...[program, '--tool', tool, '--error-exitcode', '9'],
  ...['--report-api-errors', 'no', '--launch-timeout', '60'],
];

/** The first words of the tool, which say where; else how the program ended. */
function findings(result) {
  const told = result.text.split('\n').filter((line) => /^=+ +\S/.test(line));
  return told.length ? told.slice(0, 6) : reasons(result);
}

/** The library's kernels are not ours to check, and slow to be. */
async function check(program, tool, part, options) {
  const env = { PROTEA_CUBLASLT: 'off', PROTEA_UNDER: under(program, tool).join('\n') };
  const name = `${tool} ${part.join(' ').trim()}`;
  const result = await run(`sanitize ${name}`, [native, ...part], { ...options, env });
  const why = result.status === 0 ? [] : findings(result);
  return {
    name,
    tool,
    why,
    text: result.text,
    ended: !result.late && !result.hung,
    late: result.late,
  };
}

function state(jobs, results) {
  const done = results.filter(({ ended }) => ended);
  const failed = done.filter(({ why }) => why.length).map(({ name, why }) => ({ name, why }));
  const slow = results.filter(({ ended, late }) => !ended && !late).map(({ name }) => name);
  const counts = rounds.flat().map((tool) => {
    const of = (list) => list.filter((run) => run.tool === tool).length;
    return `${tool} ${of(done)} of ${of(jobs)}`;
  });
  const first = `${done.length} of ${jobs.length} runs (${counts.join(', ')}), ${failed.length} with findings`;
  return {
    ok: failed.length === 0,
    incomplete: done.length < jobs.length,
    ...{ planned: jobs.length, done: done.length, slow, failed },
    said: [
      first,
      ...(slow.length ? [`stopped at their limit: ${slow.join(', ')}`] : []),
      ...failed.map(because),
    ],
  };
}

const skip = (skipped) => ({ ok: true, skipped, said: [skipped] });

export async function sanitize({ until, patience, report }) {
  const program = sanitizer();
  if (!program) return skip('no compute-sanitizer on this machine');
  const options = { until, limit: limit * patience };
  const seen = await check(program, 'memcheck', ['card'], options);
  if (!seen.late && !seen.text.includes('"ready":true'))
    return skip(`compute-sanitizer does not run a first kernel here: ${seen.why.join(' / ')}`);
  const parts = [{ part: ['machine'] }, { part: ['matrices'] }, ...(await agreements(until))];
  const jobs = rounds.flatMap((tools) =>
    parts.flatMap(({ part }) => tools.map((tool) => ({ tool, part }))),
  );
  const results = [];
  const work = ({ tool, part }) => {
    return async () => {
      results.push(await check(program, tool, part, options));
      report(state(jobs, results));
    };
  };
  await pool(jobs.map(work), width, until);
  return state(jobs, results);
}
