import test from 'ava';
import { RandomStream } from '../../lib/nn/index.js';
import {
  blockMask,
  drawMasks,
  inverseBlockMask,
  type MaskOptions,
  randomMask,
  visiblePatches,
} from '../../lib/ssl/index.js';

const grid = { rows: 14, columns: 14 };
const patches = 196;
const streamOf = (sample: number) => new RandomStream({ seed: 1, epoch: 2, sample, purpose: 5 });
const ones = (mask: Uint8Array) => mask.reduce((a, b) => a + b, 0);
const samples = Array.from({ length: 64 }, (_, i) => 1000 + 7 * i);
const key = { seed: 3, epoch: 1, step: 40, samples, views: 2 };

/** The masks of each crop. */
const split = (masks: Uint8Array, size = patches) =>
  Array.from({ length: masks.length / size }, (_, i) => masks.slice(i * size, (i + 1) * size));

test('a random mask has exactly the whole number of patches', (t) => {
  for (const count of [0, 1, 57.9, 196])
    t.is(ones(randomMask(grid, count, streamOf(1))), Math.floor(count));
});

test('a block mask never exceeds its count, nearly reaches it, and is made of blocks', (t) => {
  const counts: number[] = [];
  for (let sample = 0; sample < 200; sample++) {
    const mask = blockMask(grid, 60, streamOf(sample), { smallest: 16, largest: patches });
    t.true(ones(mask) <= 60);
    counts.push(ones(mask));
    const isolated = [...mask.keys()].filter(
      (i) => mask[i] && ![i - 1, i + 1, i - 14, i + 14].some((j) => mask[j]),
    );
    t.true(isolated.length <= 2, `${isolated.length} patches without a neighbour`);
  }
  t.true(counts.reduce((a, b) => a + b) / counts.length > 50);
});

test('an inverse block keeps one rectangle of exactly as many patches, which may wrap around', (t) => {
  const kept = patches - Math.floor(0.65 * patches);
  for (let sample = 0; sample < 50; sample++) {
    const mask = inverseBlockMask(grid, 0.65 * patches, streamOf(sample));
    const places = [...mask.keys()].filter((i) => !mask[i]);
    const rows = new Set(places.map((i) => Math.floor(i / 14)));
    const columns = new Set(places.map((i) => i % 14));
    t.is(places.length, kept);
    t.true(rows.size * columns.size - kept < rows.size, 'only the last column may be short');
  }
});

test('iBOT: about half of the crops are masked, each with a ratio of its own', (t) => {
  const options: MaskOptions = {
    kind: 'random',
    sampling: 'crop',
    probability: 0.5,
    ratio: [0.1, 0.5],
  };
  const counts = split(drawMasks(options, grid, key)).map(ones);
  const masked = counts.filter((n) => n > 0);
  t.true(masked.length > 44 && masked.length < 84, `${masked.length} of 128`);
  t.true(Math.min(...masked) >= 19 && Math.max(...masked) <= 98);
  t.true(new Set(masked).size > 20);
});

test('DINOv2: exactly half of the crops, one in each of as many parts of the range', (t) => {
  const options: MaskOptions = {
    kind: 'random',
    sampling: 'batch',
    probability: 0.5,
    ratio: [0.1, 0.5],
  };
  const counts = split(drawMasks(options, grid, key)).map(ones);
  const sorted = counts.filter((n) => n > 0).sort((a, b) => a - b);
  t.is(sorted.length, 64);
  sorted.forEach((count, i) => {
    const [low, high] = [i, i + 1].map((j) => patches * (0.1 + (0.4 * j) / 64));
    t.true(count >= Math.floor(low!) && count <= high!, `part ${i}: ${count}`);
  });
  t.false(
    counts.slice(0, 64).every((n) => n > 0),
    'which crops is drawn too',
  );
});

test("a crop's mask depends on seed, epoch, sample and view, and on nothing else", (t) => {
  const options: MaskOptions = {
    kind: 'block',
    sampling: 'crop',
    probability: 1,
    ratio: [0.3, 0.5],
  };
  const all = split(drawMasks(options, grid, key));
  const one = split(drawMasks(options, grid, { ...key, step: 9, samples: [samples[5]!] }));
  t.deepEqual(one, [all[5]!, all[64 + 5]!]);
  const others = [{ seed: 4 }, { epoch: 2 }].map((change) =>
    split(drawMasks(options, grid, { ...key, ...change })),
  );
  for (const other of others) t.notDeepEqual(other[5], all[5]);
  t.notDeepEqual(all[5], all[64 + 5]);
});

test('dropped patches: floor(N (1 - share)) places in order, one draw a step', (t) => {
  const left = visiblePatches(grid, 0.15, { seed: 1, step: 2 });
  t.is(left.length, 166);
  t.deepEqual(
    [...left],
    [...new Set(left)].sort((a, b) => a - b),
  );
  t.deepEqual(visiblePatches(grid, 0.15, { seed: 1, step: 2 }), left);
  t.notDeepEqual(visiblePatches(grid, 0.15, { seed: 1, step: 3 }), left);
});

test('a stream goes on the same however many numbers were drawn before', (t) => {
  const numbers = (count: number) => {
    const stream = streamOf(3);
    return Array.from({ length: count }, () => stream.next());
  };
  t.deepEqual(numbers(200).slice(0, 33), numbers(33));
  t.deepEqual([...streamOf(4).permutation(9)].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
});
