// Golden vectors of what a GPU computes: images and checkpoints need none, and what is computed in
// double stays on the CPU.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { inDouble } from '../../dist/test/golden/in-double.js';

const left = ['images', 'checkpoint'];

/** Copies them where there are any; returns how many cases. */
export function copyGolden(root, to) {
  const shared = process.env.PROTEA_SHARED ?? join(root, '..', 'shared');
  const from = process.env.PROTEA_GOLDEN ?? join(shared, 'golden');
  if (!existsSync(join(from, 'index.json'))) return 0;
  const index = JSON.parse(readFileSync(join(from, 'index.json'), 'utf8'));
  const groups = index.cases.filter(({ group }) => !left.includes(group));
  const cases = groups.filter(({ op }) => !inDouble.has(op));
  mkdirSync(to, { recursive: true });
  for (const group of new Set(groups.map(({ group }) => group))) {
    cpSync(join(from, group), join(to, group), { recursive: true });
    chmodSync(join(to, group), 0o755); // a folder that is read-only here could not be removed there
  }
  const used = new Set(cases.map(({ file }) => file));
  for (const { file } of groups) if (!used.has(file)) rmSync(join(to, file), { force: true });
  writeFileSync(join(to, 'index.json'), JSON.stringify({ ...index, cases }));
  return cases.length;
}
