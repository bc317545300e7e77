// Writes the seeds of the fuzzer, the same bytes every time: node scripts/make-corpus.mjs
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeNpy } from '../dist/lib/formats/npy.js';
import { encodeSafetensors } from '../dist/lib/formats/safetensors.js';
import { corpusFolder } from '../dist/test/formats/mutations.js';
import { floats, Namespace, torchLegacy, torchZip } from '../dist/test/support/torch-writer.js';

const raw = (array) => new Uint8Array(array.buffer);
const weights = floats(
  '0',
  Float32Array.from({ length: 12 }, (_, i) => i / 4),
  [3, 4],
);
const half = {
  key: '1',
  type: 'Half',
  data: raw(Uint16Array.of(0x3c00, 0x4000)),
  elements: 2,
  shape: [2],
};
const checkpoint = {
  teacher: new Map([
    ['head.last_layer.weight_v', weights],
    ['transposed', { ...weights, shape: [4, 3], stride: [1, 4] }],
    ['half', half],
  ]),
  epoch: 7,
  args: new Namespace({ arch: 'vit_tiny', teacher_temp: 0.07, scale: [0.4, 1.5], name: null }),
};
const named = new Map([
  ['a', { dtype: 'F32', shape: [2, 2], data: raw(Float32Array.of(1, -2, 0.5, 4)) }],
  ['b', { dtype: 'BF16', shape: [3], data: raw(Uint16Array.of(0x3f80, 0xc000, 0)) }],
  ['empty', { dtype: 'I64', shape: [0], data: new Uint8Array() }],
]);
const files = {
  'zip.pth': Buffer.concat([...torchZip(checkpoint)]),
  'legacy.pth': torchLegacy(checkpoint),
  'small.safetensors': encodeSafetensors(named, { note: 'x' }),
  'index.json': JSON.stringify({ metadata: {}, weight_map: { a: 'small.safetensors' } }),
  'matrix.npy': encodeNpy(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3]),
};
for (const [name, bytes] of Object.entries(files)) writeFileSync(join(corpusFolder, name), bytes);
