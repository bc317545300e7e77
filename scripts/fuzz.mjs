// Damaged files for the readers of checkpoints: node scripts/fuzz.mjs [runs 100000] [seed]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { damagedFile, survives } from '../dist/test/formats/mutations.js';

const [runs = '100000', seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'protea-fuzz-'));
const path = join(folder, 'damaged');
const slowMs = 1000;
const counts = { runs: 0, whole: 0, refused: 0, slowestMs: 0 };

async function once(bytes) {
  const begin = process.cpuUsage(); // of this process: other work on the machine is no hang
  const whole = await survives(path, bytes);
  const { user, system } = process.cpuUsage(begin);
  const took = (user + system) / 1000;
  counts.runs++;
  counts[whole ? 'whole' : 'refused']++;
  counts.slowestMs = Math.max(counts.slowestMs, took);
  if (took > slowMs) throw new Error(`took ${took.toFixed(0)} ms`);
  if (counts.runs % 10_000 === 0) console.log(JSON.stringify(counts));
}

try {
  await fc.assert(fc.asyncProperty(damagedFile(), once), {
    numRuns: Number(runs),
    seed: Number(seed),
  });
  const rss = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(`seed ${seed}: ${JSON.stringify({ ...counts, peakMiB: rss })}`);
} finally {
  rmSync(folder, { recursive: true });
}
