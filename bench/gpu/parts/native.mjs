// The native tests, a program an op: what a broken kernel does to its process stays there.
import { jsonLines, native, pool, reasons, run } from '../process.mjs';

const width = 4; // programs at a time
const limit = 40; // seconds a program

/** By cuBLASLt, where the machine has it, and by our own kernels. */
const own = { PROTEA_CUBLASLT: 'off' };
const first = [
  { part: ['machine'] },
  { part: ['matrices'] },
  { part: ['nearest'] },
  { part: ['products'] },
  { part: ['products', 'own'], env: own },
  { part: ['rounding'] },
  { part: ['reads'] },
  { part: ['graphs'] },
];

/** Parts of the native tests that try one op each. */
export async function agreements(until, wanted = () => true) {
  const { stdout } = await run('list', [native, 'list'], { until, limit: 20 });
  const ops = stdout.split('\n').filter((line) => /^[a-z][a-z_0-9]*$/.test(line) && wanted(line));
  return ops.map((op) => ({ part: ['agreement', `${op} `] }));
}

/** Runs one; an error of CUDA shows up at some later call, so it is asked again, call by call. */
async function once({ part, env }, options) {
  const name = part.join(' ').trim();
  const result = await run(`native ${name}`, [native, ...part], { ...options, env });
  let why = result.status === 0 ? [] : reasons(result);
  if (why.length && !result.late && result.text.includes('[cuda]')) {
    const blocking = { ...options, env: { ...env, CUDA_LAUNCH_BLOCKING: '1' } };
    const again = await run(`native ${name} blocking`, [native, ...part], blocking);
    why = [...why, `with CUDA_LAUNCH_BLOCKING=1, status ${again.status}:`, ...reasons(again)];
  }
  return { name, late: result.late, lines: jsonLines(result.stdout), why };
}

function found(jobs, done) {
  const ran = done.filter((job) => job && !job.late);
  const lines = ran.flatMap((job) => job.lines);
  return {
    programs: jobs.length,
    ran: ran.length,
    errors: lines.filter(({ op }) => op),
    failed: ran.filter(({ why }) => why.length).map(({ name, why }) => ({ name, why })),
    products: ran.find(({ name }) => name === 'products')?.lines.find((line) => line.products)
      ?.products,
  };
}

/** { programs, ran, errors, failed, products }; `report` gets the same after each program. */
export async function nativeOps({ until, patience, report = () => {}, wanted }) {
  const jobs = [...first, ...(await agreements(until, wanted))];
  const done = [];
  const options = { until, limit: limit * patience };
  const run = (job) => async () => {
    done.push(await once(job, options));
    report(found(jobs, done));
  };
  await pool(jobs.map(run), width, until);
  return found(jobs, done);
}
