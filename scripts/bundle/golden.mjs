// Golden vectors of what a GPU computes: images and checkpoints need none.
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const left = ['images', 'checkpoint'];

/** Copies them where there are any; returns how many cases. */
export function copyGolden(root, to) {
  const shared = process.env.PROTEA_SHARED ?? join(root, '..', 'shared');
  const from = process.env.PROTEA_GOLDEN ?? join(shared, 'golden');
  if (!existsSync(join(from, 'index.json'))) return 0;
  const index = JSON.parse(readFileSync(join(from, 'index.json'), 'utf8'));
  const cases = index.cases.filter(({ group }) => !left.includes(group));
  mkdirSync(to, { recursive: true });
  for (const group of new Set(cases.map(({ group }) => group))) {
    cpSync(join(from, group), join(to, group), { recursive: true });
    chmodSync(join(to, group), 0o755); // a folder that is read-only here could not be removed there
  }
  writeFileSync(join(to, 'index.json'), JSON.stringify({ ...index, cases }));
  return cases.length;
}
