import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import {
  encodeSafetensors,
  type SafetensorsDtype,
  SafetensorsFile,
  type SafetensorsTensor,
  valuesOf,
} from '../../lib/formats/safetensors.js';

const raw = (array: Float32Array | Uint8Array | Int32Array) => new Uint8Array(array.buffer);

const sample = new Map<string, SafetensorsTensor>([
  ['b', { dtype: 'U8', shape: [3], data: new Uint8Array([1, 2, 3]) }],
  ['a', { dtype: 'F32', shape: [2, 2], data: raw(new Float32Array([1, -2, 0.5, Infinity])) }],
  ['empty', { dtype: 'I32', shape: [0, 4], data: new Uint8Array() }],
]);

async function withFile<T>(bytes: Uint8Array, body: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'protea-'));
  try {
    await writeFile(join(folder, 'x.safetensors'), bytes);
    return await body(join(folder, 'x.safetensors'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('what is written is read back', async (t) => {
  await withFile(encodeSafetensors(sample, { note: 'x' }), async (path) => {
    const file = await SafetensorsFile.open(path);
    t.deepEqual(file.header.metadata, { note: 'x' });
    t.deepEqual([...file.names].sort(), ['a', 'b', 'empty']);
    t.deepEqual([...valuesOf(await file.read('a'))], [1, -2, 0.5, Infinity]);
    t.deepEqual([...valuesOf(await file.read('b'))], [1, 2, 3]);
    await t.throwsAsync(file.read('c'), {
      code: 'ERR_PROTEA_CHECKPOINT_FORMAT',
      message: /no tensor "c"/,
    });
    await file.close();
  });
});

test('equal contents give equal bytes in any order of insertion', (t) => {
  t.deepEqual(encodeSafetensors(new Map([...sample].reverse())), encodeSafetensors(sample));
});

test('a file cut anywhere is refused with its name', async (t) => {
  const bytes = encodeSafetensors(sample);
  for (let length = 0; length < bytes.length; length++) {
    await withFile(bytes.subarray(0, length), async (path) => {
      const error = await t.throwsAsync(SafetensorsFile.open(path), {
        code: 'ERR_PROTEA_CHECKPOINT_FORMAT',
      });
      t.true(error!.message.startsWith(path), `length ${length}`);
    });
  }
});

const withHeader = (header: unknown, data = 16) => {
  const json = new TextEncoder().encode(
    typeof header === 'string' ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
};

const entry = (begin: number, end: number, shape = [2], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const bad: [string, Uint8Array, RegExp][] = [
  ['no JSON', withHeader('{"a":'), /not JSON/],
  ['a list', withHeader('[]'), /does not begin with {/],
  ['an unknown dtype', withHeader({ a: entry(0, 8, [2], 'F31') }), /unknown dtype "F31"/],
  ['a size that lies', withHeader({ a: entry(0, 16, [2]) }), /needs 8 bytes but has 16/],
  ['an overflowing shape', withHeader({ a: entry(0, 8, [2 ** 30, 2 ** 30]) }), /needs \d+ bytes/],
  ['a negative dimension', withHeader({ a: entry(0, 8, [-2]) }), /no valid shape/],
  ['an overlap', withHeader({ a: entry(0, 8), b: entry(4, 12) }), /begins at 4, expected 8/],
  ['a hole', withHeader({ a: entry(0, 8), b: entry(12, 20) }), /begins at 12, expected 8/],
  [
    'a tensor named twice',
    withHeader(`{"a":${JSON.stringify(entry(0, 8))},"\\u0061":${JSON.stringify(entry(8, 16))}}`),
    /names "a" twice/,
  ],
  [
    'a field named twice',
    withHeader('{"a":{"dtype":"F32","dtype":"F64","shape":[2],"data_offsets":[0,16]}}'),
    /names "dtype" twice/,
  ],
  [
    'an unknown field',
    withHeader({ a: { ...entry(0, 8), extra: 1 }, b: entry(8, 16) }),
    /unknown field extra/,
  ],
  [
    'metadata that are no texts',
    withHeader({ __metadata__: { a: 1 }, b: entry(0, 16, [4]) }),
    /no map of texts/,
  ],
  [
    'a name of every object as dtype',
    withHeader({ a: entry(0, 16, [4], 'constructor') }),
    /unknown dtype/,
  ],
  ['spaces ahead of the header', withHeader(' {}', 0), /does not begin with \{/],
  ['hidden bytes at the end', withHeader({ a: entry(0, 8) }), /cover 8 of 16 bytes/],
];

for (const [what, bytes, message] of bad) {
  test(`refuses ${what}`, async (t) => {
    await withFile(bytes, async (path) => {
      await t.throwsAsync(SafetensorsFile.open(path), {
        code: 'ERR_PROTEA_CHECKPOINT_FORMAT',
        message,
      });
    });
  });
}

test('every dtype of the format is read', async (t) => {
  const values: [SafetensorsDtype, number[], number[]][] = [
    ['F16', [0, 0x3c], [1]],
    ['BF16', [0x80, 0xbf], [-1]],
    ['F8_E4M3', [0x38, 0x7e, 0x01, 0x7f], [1, 448, 2 ** -9, Number.NaN]],
    ['F8_E5M2', [0x3c, 0x7b, 0x7c], [1, 57344, Number.POSITIVE_INFINITY]],
    ['F8_E4M3FNUZ', [0x40, 0x80], [1, Number.NaN]],
    ['F8_E5M2FNUZ', [0x40, 0x7f], [1, 57344]],
    ['F8_E8M0', [127, 128], [1, 2]],
    ['I64', [255, 255, 255, 255, 255, 255, 255, 255], [-1]],
    ['U64', [1, 0, 0, 0, 0, 0, 0, 0], [1]],
    ['U32', [255, 255, 255, 255], [4294967295]],
    ['U16', [255, 255], [65535]],
    ['I16', [255, 255], [-1]],
    ['I8', [255], [-1]],
    ['BOOL', [0, 1], [0, 1]],
  ];
  const tensors = new Map(
    values.map(([dtype, bytes, { length }]) => [
      dtype,
      { dtype, shape: [length], data: new Uint8Array(bytes) },
    ]),
  );
  await withFile(encodeSafetensors(tensors), async (path) => {
    const file = await SafetensorsFile.open(path);
    for (const [dtype, , expected] of values)
      t.deepEqual([...valuesOf(await file.read(dtype))], expected, dtype);
    await file.close();
  });
});

test('types of less than a byte and complex numbers are listed, and refused when read', async (t) => {
  const header = { a: entry(0, 8, [16], 'F4'), b: entry(8, 16, [1], 'C64') };
  await withFile(withHeader(header), async (path) => {
    const file = await SafetensorsFile.open(path);
    t.deepEqual([...file.names], ['a', 'b']);
    await t.throwsAsync(file.read('a'), { code: 'ERR_PROTEA_UNSUPPORTED' });
    const complex = await file.read('b');
    t.throws(() => valuesOf(complex), { code: 'ERR_PROTEA_UNSUPPORTED' });
    await file.close();
  });
});
