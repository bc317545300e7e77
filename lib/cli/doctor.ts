import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { addon, candidates, packageRoot } from '../native.js';
import { add, type DeviceName, gpu, scope, tensor } from '../tensor/index.js';
import { exitCode, type Output, run } from './output.js';

interface Finding {
  name: string;
  value: string;
  ok: boolean;
}

/** Does the addon add? */
async function arithmetic(device: DeviceName): Promise<Finding> {
  const pair = (values: number[]) => tensor(values, [2], 'f32', device);
  const sum = scope(() => add(pair([1, 2]), pair([3, 4])));
  const values = Array.from(await sum.read());
  sum.dispose();
  return {
    name: 'arithmetic',
    value: `1 + 3 = ${values[0]} on ${device}`,
    ok: values[0] === 4 && values[1] === 6,
  };
}

/** The GPU, as far as it goes. None at all is no fault of the machine. */
function graphics(): Finding[] {
  const found = gpu();
  const { built, ready, emulated, name, capability, driver, runtime, memory, processors } = found;
  const state = ready ? `a first kernel ran: ${found.reason}` : found.reason;
  const findings: Finding[] = [
    { name: 'gpu', value: emulated ? `${state} (emulated)` : state, ok: true },
  ];
  if (!built) return findings;
  findings.push(
    { name: 'cuda', value: `driver ${driver || 'none'}, build ${runtime}`, ok: true },
    { name: 'products', value: found.products, ok: true },
    { name: 'cuda ops', value: String(addon().ops('cuda').length), ok: true },
  );
  if (name)
    findings.push({
      name: 'card',
      value: `${name}, compute capability ${capability}, ${processors} processors, ${(memory / 2 ** 30).toFixed(1)} GiB`,
      ok: true,
    });
  if (found.remedy) findings.push({ name: 'remedy', value: found.remedy, ok: true });
  return findings;
}

async function backend(): Promise<Finding[]> {
  try {
    const { threads, isa, ops, hasJpeg, gpu } = addon();
    return [
      { name: 'backend', value: gpu().built ? 'cpu, cuda' : 'cpu', ok: true },
      { name: 'addon', value: candidates().join(', '), ok: true },
      { name: 'instruction set', value: isa(), ok: true },
      { name: 'threads', value: String(threads()), ok: true },
      { name: 'ops', value: String(ops().length), ok: true },
      { name: 'jpeg', value: hasJpeg() ? 'libjpeg-turbo' : 'through sharp', ok: true },
      await arithmetic('cpu'),
      ...graphics(),
      ...(gpu().ready && ops('cuda').includes('weighted_sum') ? [await arithmetic('cuda')] : []),
    ];
  } catch (error) {
    return [{ name: 'addon', value: (error as Error).message, ok: false }];
  }
}

function machine(): Finding[] {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  const gigabytes = (totalmem() / 2 ** 30).toFixed(1);
  return [
    { name: 'protea', value: version, ok: true },
    { name: 'node', value: process.version, ok: true },
    { name: 'system', value: `${process.platform} ${process.arch} ${release()}`, ok: true },
    {
      name: 'processor',
      value: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`,
      ok: true,
    },
    { name: 'memory', value: `${gigabytes} GiB`, ok: true },
  ];
}

async function doctor(out: Output): Promise<number> {
  const findings = [...machine(), ...(await backend())];
  const ok = findings.every((finding) => finding.ok);
  out.emit({ event: 'end', ok, findings });
  for (const { name, value, ok: good } of findings)
    out.result(`${good ? 'ok ' : 'BAD'} ${name.padEnd(16)} ${value}`);
  if (!ok) out.result('Build the addon with: npm run build:native');
  return ok ? exitCode.ok : exitCode.environment;
}

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('what this machine and build can do')
    .option('--json', 'JSON on stdout')
    .action((flags: { json?: boolean }) => run(flags.json ?? false, doctor));
}
