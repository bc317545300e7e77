import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { encodeNpy, NpyFile } from '../../lib/formats/npy.js';
import { temporaryFolder } from '../support/folder.js';

function written(t: ExecutionContext, bytes: Uint8Array): string {
  const path = join(temporaryFolder(t), 'x.npy');
  writeFileSync(path, bytes);
  return path;
}

async function read(t: ExecutionContext, bytes: Uint8Array) {
  const file = await NpyFile.open(written(t, bytes));
  try {
    const { values, shape } = await file.read();
    return { values: [...values], shape };
  } finally {
    await file.close();
  }
}

const withHeader = (header: string, data: Uint8Array, version = 1) => {
  const size = version === 1 ? 2 : 4;
  const bytes = Buffer.alloc(8 + size + header.length + data.length);
  bytes.write('\x93NUMPY', 'latin1');
  bytes.set([version, 0], 6);
  bytes.writeUIntLE(header.length, 8, size);
  bytes.write(header, 8 + size, 'latin1');
  bytes.set(data, 8 + size + header.length);
  return bytes;
};

const header = (descr: string, order: string, shape: string) =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
const six = new Uint8Array([1, 2, 3, 4, 5, 6]);

test('what is written is read back, for every kind and shape', async (t) => {
  for (const array of [Float32Array, Float64Array, Int32Array, Uint8Array])
    for (const shape of [[6], [2, 3], [1, 2, 3], [6, 1]])
      t.deepEqual(await read(t, encodeNpy(array.from(six), shape)), { values: [...six], shape });
  t.deepEqual(await read(t, encodeNpy(Float32Array.of(2.5), [])), { values: [2.5], shape: [] });
  t.deepEqual(await read(t, encodeNpy(new Float32Array(), [0, 4])), { values: [], shape: [0, 4] });
  t.throws(() => encodeNpy(new Float32Array(5), [2, 3]), { code: 'ERR_PROTEA_SHAPE' });
});

test('the data begin at a multiple of 64, as numpy.save has them', (t) => {
  const bytes = encodeNpy(new Float32Array(6), [2, 3]);
  t.is((bytes.length - 24) % 64, 0);
  t.is(bytes[bytes.length - 25], 0x0a);
});

test('columns first, the other byte order, and headers of all versions', async (t) => {
  const fortran = header("'|u1'", 'True', '(2, 3)');
  t.deepEqual((await read(t, withHeader(fortran, six))).values, [1, 3, 5, 2, 4, 6]);
  const big = new Uint8Array([0, 1, 0, 2]);
  for (const version of [1, 2, 3])
    t.deepEqual(
      (await read(t, withHeader(header("'>i2'", 'False', '(2,)'), big, version))).values,
      [1, 2],
    );
});

test('arrays of objects are refused before anything of them is read', async (t) => {
  await t.throwsAsync(read(t, withHeader(header("'|O'", 'False', '(1,)'), six)), {
    code: 'ERR_PROTEA_PICKLE_FORBIDDEN',
  });
});

const bad: [string, Uint8Array, RegExp][] = [
  [
    'bytes behind the end',
    withHeader(header("'|u1'", 'False', '(5,)'), six),
    /needs 5 bytes but has 6/,
  ],
  ['too few bytes', withHeader(header("'<f4'", 'False', '(2,)'), six), /needs 8 bytes but has 6/],
  ['a structured type', withHeader(header("[('a', '<f4')]", 'False', '(1,)'), six), /unknown kind/],
  [
    'a key twice',
    withHeader("{'shape': (6,), 'shape': (5,), 'descr': '|u1'}", six),
    /its header is/,
  ],
  ['a missing key', withHeader("{'descr': '|u1', 'shape': (6,)}", six), /its header is/],
  ['code in the header', withHeader("{'descr': __import__('os')}", six), /its header is/],
  ['a negative size', withHeader(header("'|u1'", 'False', '(-6,)'), six), /its header is/],
  [
    'an overflowing shape',
    withHeader(header("'|u1'", 'False', `(${2 ** 40}, ${2 ** 40})`), six),
    /needs/,
  ],
  ['an unknown version', withHeader(header("'|u1'", 'False', '(6,)'), six, 4), /does not begin/],
];
for (const [what, bytes, message] of bad)
  test(`refuses ${what}`, async (t) => {
    await t.throwsAsync(read(t, bytes), { code: 'ERR_PROTEA_CHECKPOINT_FORMAT', message });
  });

test('a file cut anywhere is refused', async (t) => {
  const bytes = encodeNpy(Float32Array.from(six), [2, 3]);
  for (let length = 0; length < bytes.length; length++)
    await t.throwsAsync(read(t, bytes.subarray(0, length)), {
      code: 'ERR_PROTEA_CHECKPOINT_FORMAT',
    });
});
