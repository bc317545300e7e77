// main.mjs [--minutes N] [--steps N] [all | ops | sanitize | train | bench [NAME]]: what ./run starts.
// Writes result.json; parts that do not run now keep what they found before on the same build. However
// it ends, what there is by then is printed and kept.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { inspect } from './card.mjs';
import { killAll } from './children.mjs';
import { bench } from './parts/bench.mjs';
import { ops } from './parts/ops.mjs';
import { sanitize } from './parts/sanitize.mjs';
import { train } from './parts/train.mjs';
import { root } from './process.mjs';
import { python } from './python.mjs';
import { before, copyLogs, file, save } from './result.mjs';
import { deadline, defaults, parts, patience, turn } from './schedule.mjs';
import { head, line, whole } from './summary.mjs';

const bodies = { ops, sanitize, train, bench };

function read() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      minutes: { type: 'string', default: defaults.minutes },
      steps: { type: 'string', default: defaults.steps },
    },
  });
  const [part = 'all', name = ''] = positionals;
  const minutes = Number(values.minutes);
  const steps = Number(values.steps);
  if (!(minutes > 0) || !(steps >= 1)) throw new Error('--minutes and --steps must be positive');
  if (part !== 'all' && !parts.includes(part))
    throw new Error(`the part must be one of all, ${parts.join(', ')}; got ${part}`);
  return { chosen: part === 'all' ? parts : [part], name: name.toLowerCase(), minutes, steps };
}

/** Everything printed and kept as it is now. */
function close(result) {
  const printed = whole(result);
  console.log(`\n${printed}\n\n${file}`);
  copyLogs(printed);
}

function closeOnSignals(result) {
  process.stdout.on('error', () => {}); // whoever read it is gone
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.on(signal, () => {
      killAll();
      close(result);
      process.exit(128 + constants.signals[signal]);
    });
}

/** Runs a part; the result has, at any time, what it has found so far. */
async function runPart(part, result, context) {
  const at = new Date().toISOString();
  const began = Date.now();
  const keep = (found) => {
    result.parts[part] = { at, seconds: (Date.now() - began) / 1000, ...found };
    save(result);
  };
  const report = (found) => keep({ ...found, incomplete: true });
  report({ ok: true, said: ['cut off'] });
  try {
    keep(await bodies[part]({ ...context, report }));
  } catch (error) {
    keep({ ...result.parts[part], ok: false, said: [`broke off: ${error.stack}`] });
  }
  console.log(line(part, result.parts[part]));
}

const { chosen, name, minutes, steps } = read();
const end = deadline(minutes);
const build = JSON.parse(readFileSync(join(root, 'bundle.json'), 'utf8'));
const result = { build, card: await inspect(), parts: before(build) };
save(result);
closeOnSignals(result);
if (!result.card.ready) {
  const told = `no GPU: ${result.card.reason}\n${result.card.looked}`;
  console.log(told);
  copyLogs(told);
  process.exit(3);
}
const trial = result.card.emulated;
const context = { name, steps, trial, patience: patience(minutes, trial), ran: {} };
if (chosen.includes('bench')) context.python = python(trial, end);
console.log(head(result));
for (const [i, part] of chosen.entries()) {
  console.error(`${part} ...`);
  await runPart(part, result, { ...context, until: turn(chosen.slice(i), end) });
  context.ran[part] = result.parts[part];
}
close(result);
const states = chosen.map((part) => result.parts[part]);
process.exit(
  states.some(({ ok }) => !ok) ? 1 : states.some(({ incomplete }) => incomplete) ? 2 : 0,
);
