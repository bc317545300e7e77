// main.mjs [--minutes N] [--steps N] [all | ops | sanitize | train | bench [NAME]]: what ./run starts.
// Writes result.json; parts that do not run now keep what they found before on the same build.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bench } from './parts/bench.mjs';
import { ops } from './parts/ops.mjs';
import { sanitize } from './parts/sanitize.mjs';
import { train } from './parts/train.mjs';
import { jsonLines, native, root, run } from './process.mjs';
import { summary, table } from './table.mjs';

/** Parts in their order, with their share of the time: 7.8 of 8 minutes, the rest unpacks and starts. */
const parts = {
  ops: { body: ops, seconds: 140 },
  sanitize: { body: sanitize, seconds: 90 },
  train: { body: train, seconds: 60 },
  bench: { body: bench, seconds: 178 },
};
const usual = 8; // minutes

function read() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      minutes: { type: 'string', default: String(usual) },
      steps: { type: 'string', default: '200' },
    },
  });
  const [part = 'all', name] = positionals;
  const minutes = Number(values.minutes);
  const steps = Number(values.steps);
  if (!(minutes > 0) || !(steps >= 1)) throw new Error('--minutes and --steps must be positive');
  if (part !== 'all' && !parts[part])
    throw new Error(`the part must be one of all, ${Object.keys(parts).join(', ')}; got ${part}`);
  return { chosen: part === 'all' ? Object.keys(parts) : [part], name, minutes, steps };
}

const file = join(root, 'result.json');
const build = JSON.parse(readFileSync(join(root, 'bundle.json'), 'utf8'));

function before() {
  const found = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
  return found?.build.commit === build.commit ? found.parts : {};
}

async function machine() {
  const until = Date.now() + 60_000;
  const { text } = await run('card', [native, 'card'], { until });
  const smi = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'];
  const asked = await run('nvidia-smi', smi, { until });
  const nvidia = asked.status === 0 ? asked.text.split('\n')[0].trim() : undefined;
  const card = jsonLines(text)[0] ?? { ready: false, reason: text.trim(), name: '', driver: '' };
  return { ...card, nvidia, system: release(), node: process.version };
}

const { chosen, name, minutes, steps } = read();
const card = await machine();
const result = { build, card, parts: before() };
const save = () => writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
save();
if (!card.ready) {
  console.log(`no GPU: ${card.reason}`);
  process.exit(3);
}
for (const part of chosen) {
  const began = Date.now();
  const { body, seconds } = parts[part];
  const until = began + (1000 * seconds * minutes) / usual;
  console.error(`${part} ...`);
  const found = await body({ until, name, steps, trial: card.emulated });
  result.parts[part] = { at: new Date(began).toISOString(), ...found };
  result.parts[part].seconds = (Date.now() - began) / 1000;
  save();
}
const driver = [card.nvidia, `CUDA ${card.driver}`].filter(Boolean).join(', ');
console.log(`\nProtea ${build.version} (${build.commit}) on ${card.name}, driver ${driver}`);
console.log(`\n${table(result.parts)}\n\n${summary(result.parts)}\n\n${file}`);
process.exitCode = chosen.every((part) => result.parts[part].ok) ? 0 : 1;
