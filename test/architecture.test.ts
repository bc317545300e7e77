// The layer table of docs/architecture.md, enforced: who may import whom.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import test from 'ava';
import { packageRoot } from '../lib/native.js';

/** Each folder or file of lib/ and what it may import besides itself. */
const layers: Record<string, string[]> = {
  error: [],
  native: ['error'],
  tensor: ['native', 'error'],
  formats: ['tensor', 'native', 'error'],
  nn: ['tensor', 'native', 'error'],
  data: ['tensor', 'native', 'error'],
  ssl: ['nn', 'tensor', 'native', 'error'],
  diagnose: ['formats', 'tensor', 'native', 'error'],
  eval: ['nn', 'data', 'formats', 'tensor', 'native', 'error'],
  report: ['error'],
  bench: ['ssl', 'nn', 'tensor', 'native', 'error'],
  lab: ['diagnose', 'report', 'ssl', 'nn', 'tensor', 'native', 'error'],
  train: [
    'eval',
    'diagnose',
    'report',
    'ssl',
    'nn',
    'data',
    'formats',
    'tensor',
    'native',
    'error',
  ],
  cli: [
    'bench',
    'lab',
    'train',
    'eval',
    'diagnose',
    'report',
    'ssl',
    'nn',
    'data',
    'formats',
    'tensor',
    'native',
    'error',
  ],
  index: [
    'bench',
    'lab',
    'train',
    'eval',
    'diagnose',
    'report',
    'ssl',
    'nn',
    'data',
    'formats',
    'tensor',
    'native',
    'error',
  ],
};

/** Each folder of native/ and what it may include besides itself. */
const nativeLayers: Record<string, string[]> = {
  core: [],
  kernels: ['core'],
  ops: ['kernels', 'core'],
  image: ['kernels', 'core'],
  addon: ['image', 'ops', 'kernels', 'core'],
  test: ['image', 'ops', 'kernels', 'core'],
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
        /ops\/[^/]+\.cpp$/.test(target);
      t.false(opIncludesOp, 'an op never includes another op');
    }
    if (layer !== 'addon') t.false(/napi\.h/.test(text), 'only addon/ knows Node');
  });
}
