// The card, its driver and what makes matrix products; where none is found, what was looked at.
import { release } from 'node:os';
import { jsonLines, native, run, tail } from './process.mjs';

const limit = 30; // seconds

async function driver() {
  const query = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'];
  const { status, stdout } = await run('nvidia-smi', query, { limit });
  return status === 0 ? stdout.split('\n')[0].trim() : undefined;
}

export async function inspect() {
  const { stdout, text, hung } = await run('card', [native, 'card'], { limit });
  const reason = hung ? `the driver has not answered in ${limit} s` : tail(text).join('\n');
  const card = jsonLines(stdout)[0] ?? { ready: false, reason, name: '', driver: '' };
  const found = { ...card, nvidia: await driver(), system: release(), node: process.version };
  if (card.ready) return found;
  const looked = await run('driver', ['sh', 'bench/gpu/driver.sh'], { limit });
  return { ...found, looked: looked.text.trim() };
}
