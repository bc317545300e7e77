// The layer table of docs/architecture.md, enforced: who may import whom.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import test from 'ava';
import { packageRoot } from '../lib/native.js';

const base = ['tensor', 'native', 'error'];
const parts = ['eval', 'diagnose', 'report', 'ssl', 'nn', 'data', 'formats', ...base];

/** Each folder or file of lib/ and what it may import besides itself. */
const layers: Record<string, string[]> = {
  error: [],
  native: ['error'],
  tensor: ['native', 'error'],
  formats: base,
  nn: base,
  data: base,
  ssl: ['nn', ...base],
  diagnose: ['formats', ...base],
  eval: ['nn', 'data', 'formats', ...base],
  report: ['error'],
  inspect: ['eval', 'diagnose', 'report', 'ssl', 'nn', 'data', 'formats', ...base],
  bench: ['ssl', 'nn', ...base],
  lab: ['diagnose', 'report', 'ssl', 'nn', ...base],
  train: ['eval', 'diagnose', 'report', 'ssl', 'nn', 'data', 'formats', ...base],
  compare: ['train', 'eval', 'report', 'data', 'error'],
  cli: ['bench', 'compare', 'lab', 'train', 'inspect', ...parts],
  index: ['bench', 'compare', 'lab', 'train', 'inspect', ...parts],
};

/** Each folder of native/ and what it may include besides itself. */
const nativeLayers: Record<string, string[]> = {
  core: [],
  kernels: ['core'],
  simt: [],
  cuda: ['simt', 'kernels', 'core'],
  image: ['kernels', 'core'],
  ops: ['cuda', 'image', 'kernels', 'core'],
  addon: ['image', 'ops', 'kernels', 'core'],
  test: ['image', 'ops', 'cuda', 'kernels', 'core'],
};

const layerOf = (path: string) => path.split('/')[0]!.replace(/\.[jt]s$/, '');

function sources(folder: string, ending: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    ending.test(name),
  );
}

function matches(file: string, pattern: RegExp): string[] {
  return [...readFileSync(file, 'utf8').matchAll(pattern)].map((match) => match[1]!);
}

const lib = join(packageRoot(), 'lib');
for (const name of sources(lib, /\.ts$/)) {
  test(`lib/${name} imports only the layers below it`, (t) => {
    const layer = layerOf(name);
    t.true(layer in layers, `${layer} is missing from the layer table`);
    for (const path of matches(join(lib, name), /(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
      const other = layerOf(relative(lib, join(lib, dirname(name), path)));
      t.true(other === layer || layers[layer]!.includes(other), `${layer} may not import ${other}`);
    }
  });
}

const native = join(packageRoot(), 'native');
for (const name of sources(native, /\.(h|cpp|cu|cuh)$/)) {
  test(`native/${name} includes only the layers below it`, (t) => {
    const layer = layerOf(name);
    t.true(layer in nativeLayers, `${layer} is missing from the layer table`);
    const text = readFileSync(join(native, name), 'utf8');
    for (const path of matches(join(native, name), /#include "([^"]+)"/g)) {
      const target = relative(native, join(native, dirname(name), path));
      const other = layerOf(target);
      t.true(
        other === layer || nativeLayers[layer]!.includes(other),
        `${layer} may not include ${other}`,
      );
      const opIncludesOp =
        layer === 'ops' &&
        other === 'ops' &&
        target !== 'ops/list.h' &&
        /ops\/[^/]+\.(cpp|cu)$/.test(target);
      t.false(opIncludesOp, 'an op never includes another op');
    }
    if (layer !== 'addon') t.false(/napi\.h/.test(text), 'only addon/ knows Node');
    const raw = /\basm\b|<<<|extern __shared__|#include <cuda/;
    if (!/^(cuda\/gpu\.h|simt\/)/.test(name))
      t.false(raw.test(text), 'only cuda/gpu.h has PTX, launches and CUDA headers');
  });
}
