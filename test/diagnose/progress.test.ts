import test from 'ava';
import { diagnose } from '../../lib/diagnose/index.js';
import { normals } from '../../lib/nn/index.js';

test.serial(
  'a long diagnosis tells how far it is, part by part, and leaves the event loop free',
  async (t) => {
    const shape: [number, number] = [16384, 128]; // seconds of work in double, on any machine
    const values = Float64Array.from(normals(1, 0, 0, shape[0] * shape[1]));
    const told = new Map<string, number[]>();
    let turns = 0;
    const timer = setInterval(() => turns++, 20);
    const begin = performance.now();
    const { report } = await diagnose(
      { values, shape },
      { onProgress: (part, share) => told.set(part, [...(told.get(part) ?? []), share]) },
    );
    clearInterval(timer);
    t.is(report.unique, shape[0]);
    t.deepEqual([...told.keys()], ['copies', 'neighbours']);
    for (const [part, shares] of told) {
      t.true(
        shares.every((share, i) => share >= (shares[i - 1] ?? 0) && share <= 1),
        `${part}: ${shares.join(', ')}`,
      );
      t.true(shares.at(-1)! > 0, part);
    }
    t.true(turns > (performance.now() - begin) / 20 / 5, `${turns} turns of the event loop`);
  },
);

test.serial(
  'the progress of a count never falls, also where groups are counted within groups',
  async (t) => {
    const [K, dim] = [8192, 128];
    const centres = normals(2, 0, 0, 8 * dim);
    const noise = normals(3, 0, 0, K * dim);
    // Eight loose groups: the second part of the count has most of the work.
    const values = Float64Array.from(noise, (v, i) => {
      const k = Math.floor(i / dim);
      return centres[(k % 8) * dim + (i % dim)]! + 0.3 * v;
    });
    const shares: number[] = [];
    await diagnose(
      { values, shape: [K, dim] },
      {
        epsilons: [0.001, 0.3],
        onProgress: (part, share) => part === 'copies' && shares.push(share),
      },
    );
    t.true(
      shares.every((share, i) => share >= (shares[i - 1] ?? 0) && share <= 1),
      shares.join(', '),
    );
  },
);
