import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { temporaryFolder } from '../support/folder.js';
import { damagedFile, survives } from './mutations.js';

test('damaged files of every format are refused by type, or are still files', async (t) => {
  const path = join(temporaryFolder(t), 'damaged');
  let whole = 0;
  await fc.assert(
    fc.asyncProperty(damagedFile(), async (bytes) => {
      whole += Number(await survives(path, bytes));
    }),
    { numRuns: 2000, seed: 4 },
  );
  t.true(whole > 0 && whole < 2000);
});
