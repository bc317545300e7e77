// Times on the GPU, Protea and PyTorch in turn; Protea alone where there is no PyTorch.
import { join } from 'node:path';
import { jsonLines, native, node, root, run, tail } from '../process.mjs';
import { nativeOps } from './ops.mjs';

const timed = ['prototype_cross_entropy', 'adamw', 'koleo', 'prototype_sinkhorn', 'augment'];

/** A Python whose PyTorch sees the card, if there is one; for a trial any PyTorch will do. */
async function python(until, trial) {
  const probe = `import sys, torch; sys.exit(not (${trial ? 'True' : 'False'} or torch.cuda.is_available()))`;
  for (const program of process.env.PYTHON ? [process.env.PYTHON] : ['python3', 'python']) {
    const { status } = await run('python', [program, '-c', probe], { until });
    if (status === 0) return program;
  }
}

const key = (line) => [line.op, line.size ?? '', line.precision].join(' ');

/** Lines of one op, size and precision together; of Protea's times the better one. */
export function cases(lines) {
  const found = new Map();
  for (const line of lines.filter(({ op }) => op)) {
    const entry = found.get(key(line)) ?? {
      op: line.op,
      shape: line.shape,
      precision: line.precision,
    };
    found.set(key(line), entry);
    const before = entry[line.impl];
    entry[line.impl] = {
      ms: Math.min(line.ms_median ?? Infinity, before?.ms ?? Infinity),
      bytes: line.bytes,
      error: line.error,
    };
    entry.floor ??= line.floor_ms;
  }
  return [...found.values()];
}

export async function bench({ until, name = '', trial }) {
  const filter = name.toLowerCase();
  const wanted = (op) => timed.includes(op) && (op.startsWith(filter) || filter.startsWith(op));
  const { errors, failed } = await nativeOps(until, wanted);
  const program = await python(until, trial);
  if (trial && !program) return { ok: true, cases: [], errors, why: ['a trial needs PyTorch'] };
  const script = join(root, 'bench', 'gpu', 'bench.py');
  const command = program
    ? [program, script, native, filter, ...(trial ? ['--trial'] : [])]
    : [native, 'bench', filter];
  const result = await run('bench', command, { until, env: { PROTEA_NODE: node } });
  const lines = jsonLines(result.text);
  const broken = lines.filter(({ impl, error }) => impl === 'protea' && error);
  const of = ({ torch, device, rates } = {}) => ({ torch, device, rates });
  return {
    ok: (result.status === 0 || result.late) && !broken.length && !failed.length,
    ...of(lines.find((line) => line.torch)),
    cases: cases(lines.map((line) => (line.op ? { impl: 'protea', ...line } : line))),
    errors,
    why: [
      ...(program ? [] : ['no Python whose PyTorch sees the card: Protea alone']),
      ...broken.map(({ op, size, error }) => `${op} ${size}: ${error}`),
      ...failed.map(({ name, why }) => `${name}: ${why.join(' / ')}`),
      ...(result.late ? ['no time left for all'] : []),
      ...(result.status === 0 || result.late ? [] : tail(result.text)),
    ],
  };
}
