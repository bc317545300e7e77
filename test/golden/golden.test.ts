// Every case of the golden folder whose op has a handler must be within tolerance; the others are
// listed as not covered. Driven by index.json alone: PROTEA_GOLDEN may name another folder. On the GPU
// with PROTEA_GOLDEN_DEVICE=cuda, or an emulated one with PROTEA_BACKEND=simt besides.
import test from 'ava';
import { chooseDevice, useDevice } from '../../lib/tensor/index.js';
import { goldenFolder, makeCase, readIndex, readTensors } from './case.js';
import { differences } from './compare.js';
import { handlers } from './handlers/index.js';
import { inDouble } from './in-double.js';

const folder = goldenFolder();
const onGpu = process.env.PROTEA_GOLDEN_DEVICE === 'cuda';
if (onGpu) useDevice(chooseDevice('cuda').device);

if (!folder) {
  test.skip('golden vectors: no folder (set PROTEA_GOLDEN or PROTEA_SHARED)', () => {});
} else {
  const entries = readIndex(folder);
  for (const entry of entries) {
    const handler = handlers[entry.op];
    if (!handler) continue;
    if (onGpu && inDouble.has(entry.op)) {
      test.skip(`${entry.id} (computed in double, on the CPU alone)`, () => {});
      continue;
    }
    test.serial(entry.id, async (t) => {
      const tensors = await readTensors(folder, entry);
      const got = await handler(makeCase(folder, entry, tensors));
      t.deepEqual(differences(entry, tensors, got), []);
    });
  }
  const missing = new Map<string, number>();
  for (const { op } of entries) if (!handlers[op]) missing.set(op, (missing.get(op) ?? 0) + 1);
  for (const [op, count] of missing) test.skip(`not covered: ${op} (${count} cases)`, () => {});
}
