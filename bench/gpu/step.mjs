// step.mjs 224 | 16: times the whole step of DINO on the GPU, products in bf16, launched kernel by kernel
// and then as CUDA graphs, and prints a JSON line after each.
// 224: ViT-S/16, 64 images in 2 crops of 224 and 8 of 96 pixels, K = 65536. 16: for a trial.
import { stepCase } from '../../dist/lib/bench/cases.js';
import { addon } from '../../dist/lib/native.js';
import { useDevice, useGraphs, usePrecision } from '../../dist/lib/tensor/index.js';

const dino = { locals: 8, bottleneck: 256 };
const shapes = {
  224: {
    ...{ dim: 384, depth: 12, heads: 6, patch: 16, globalSize: 224, localSize: 96 },
    ...{ ...dino, images: 64, hidden: 2048, prototypes: 65536 },
  },
  16: {
    ...{ dim: 16, depth: 1, heads: 1, patch: 8, globalSize: 16, localSize: 8 },
    ...{ ...dino, images: 2, hidden: 16, prototypes: 64 },
  },
};
const shape = shapes[process.argv[2]];
const [groups, together] = process.argv[2] === '224' ? [6, 4] : [2, 1];
const warmUp = 300; // ms of work before the first step that counts

/** Milliseconds a step; nothing waits for the device within a group. */
async function group(once) {
  const begin = performance.now();
  for (let i = 1; i < together; i++) once().dispose();
  const last = once();
  await last.read();
  last.dispose();
  return (performance.now() - begin) / together;
}

/** { ms_median, ms_min, bytes }, once warm. */
async function timed(once) {
  const began = performance.now();
  do await group(once);
  while (performance.now() - began < warmUp);
  const before = addon().memory('cuda').bytes;
  addon().resetPeak('cuda');
  const times = [];
  for (let i = 0; i < groups; i++) times.push(await group(once));
  times.sort((a, b) => a - b);
  const bytes = addon().memory('cuda').peakBytes - before;
  return { ms_median: times[groups >> 1], ms_min: times[0], bytes };
}

useDevice('cuda');
usePrecision('bf16');
const once = stepCase(shape, 0).prepare();
const line = { op: 'step', shape, precision: 'bf16', ...(await timed(once)) };
console.log(JSON.stringify(line));
useGraphs(true);
const graphs = await timed(once);
console.log(JSON.stringify({ ...line, graphs_ms: graphs.ms_median }));
