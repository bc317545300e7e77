// Times on the GPU, Protea and PyTorch in turn; Protea alone where there is no PyTorch.
import { join } from 'node:path';
import { jsonLines, native, node, reasons, root, run } from '../process.mjs';
import { within } from '../schedule.mjs';
import { because } from '../summary.mjs';
import { nativeOps } from './native.mjs';

const timed = ['prototype_cross_entropy', 'adamw', 'koleo', 'prototype_sinkhorn', 'augment'];

const key = ({ op, size, shape, precision }) =>
  [op, size ?? JSON.stringify(shape), precision].join(' ');
const ms = (line) => line?.ms_median ?? Infinity;

/** Lines of one op, size and precision together; of several times of one program the best one. */
export function cases(lines) {
  const found = new Map();
  for (const line of lines.filter(({ op }) => op)) {
    const { op, shape, precision, impl = 'protea' } = line;
    const entry = found.get(key(line)) ?? { op, shape, precision };
    found.set(key(line), entry);
    entry.shape ??= shape;
    entry.floor ??= line.floor_ms;
    const { ms: before = Infinity, times = [] } = entry[impl] ?? {};
    if (ms(line) < before || before === Infinity)
      entry[impl] = { ...entry[impl], ms: line.ms_median, bytes: line.bytes, error: line.error };
    if (line.graphs_ms)
      entry[impl].graphs = Math.min(entry[impl].graphs ?? Infinity, line.graphs_ms);
    entry[impl].times = ms(line) < Infinity ? [...times, line.ms_median] : times;
  }
  return [...found.values()];
}

/** Protea's half that failed, perhaps after it had timed something. */
function broken(lines) {
  const told = lines.filter(({ impl, error }) => impl === 'protea' && error);
  return [...new Set(told.map(({ op, size, error }) => `${op} ${size}: ${error}`))];
}

function state({ lines, agreed, why = [], result }) {
  const failures = [
    ...broken(lines),
    ...agreed.failed.map(because),
    ...(result && result.status !== 0 && !result.late ? reasons(result) : []),
  ];
  const about = lines.find((line) => line.torch) ?? {};
  const found = cases(lines);
  const incomplete = result?.late ?? true;
  return {
    ok: failures.length === 0,
    incomplete,
    ...{ torch: about.torch, device: about.device, rates: about.rates },
    ...{ cases: found, lines, errors: agreed.errors, products: agreed.products },
    said: [
      `${found.length} cases${incomplete ? ', no time left for all' : ''}`,
      ...why,
      ...failures,
    ],
  };
}

/** Whether the ops that are timed are right, unless the part before has found out. */
async function agreement({ until, name, patience, ran }) {
  if (ran.ops) return { errors: [], failed: [] };
  const wanted = (op) => timed.includes(op) && (op.startsWith(name) || name.startsWith(op));
  return nativeOps({ until: within(0.4, until), patience, wanted });
}

function command({ program }, { name, trial, until }) {
  if (!program) return [native, 'bench', name];
  const script = join(root, 'bench', 'gpu', 'bench.py');
  const options = ['--until', String(until / 1000), ...(trial ? ['--trial'] : [])];
  return [program, script, ...options, native, name];
}

export async function bench(context) {
  const { until, trial, report } = context;
  const agreed = await agreement(context);
  const python = await context.python;
  const why = python.program ? [] : [`Protea alone: ${python.why}`];
  const lines = [];
  if (trial && !python.program) return state({ lines, agreed, why, result: { status: 0 } });
  const onLine = (line) => {
    lines.push(...jsonLines(line));
    report(state({ lines, agreed, why }));
  };
  const env = { PROTEA_NODE: node };
  const result = await run('bench', command(python, context), { until, env, onLine });
  return state({ lines, agreed, why, result });
}
