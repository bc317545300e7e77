import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { encodeNpy } from '../../lib/formats/npy.js';
import { encodeSafetensors } from '../../lib/formats/safetensors.js';
import { openTensorFile } from '../../lib/formats/tensor-file.js';
import { temporaryFolder } from '../support/folder.js';
import { floats, torchLegacy, torchZip, zipPieces } from '../support/torch-writer.js';

const weights = floats('0', Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
const raw = (array: Float32Array) => new Uint8Array(array.buffer);
const one = (name: string, value: number) =>
  encodeSafetensors(
    new Map([[name, { dtype: 'F32' as const, shape: [1], data: raw(Float32Array.of(value)) }]]),
  );

/** Opens a file of these bytes under a name that says nothing. */
async function contents(t: ExecutionContext, bytes: Uint8Array) {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, bytes);
  const file = await openTensorFile(path);
  try {
    const tensors: Record<string, number[]> = {};
    for (const name of file.names)
      tensors[name] = Array.from((await file.read(name)).values as ArrayLike<number>);
    return { format: file.format, tensors };
  } finally {
    await file.close();
  }
}

test('every format is known by its content', async (t) => {
  const tensors = { w: [1, 2, 3, 4, 5, 6] };
  t.deepEqual(await contents(t, Buffer.concat([...torchZip({ w: weights })])), {
    format: 'torch',
    tensors,
  });
  t.deepEqual(await contents(t, torchLegacy({ w: weights })), { format: 'torch', tensors });
  t.deepEqual(await contents(t, one('a', 3)), { format: 'safetensors', tensors: { a: [3] } });
  t.is((await contents(t, encodeNpy(Float32Array.of(3), [1]))).format, 'npy');
});

test('what is no file of tensors is named where it is known', async (t) => {
  for (const [bytes, message] of [
    [Buffer.alloc(0), /is empty/],
    [Buffer.from('\x1f\x8b0000000', 'latin1'), /gzip: unpack it first/],
    [Buffer.from('hello, this is text'), /no file of tensors/],
  ] as const)
    await t.throwsAsync(contents(t, bytes), { code: 'ERR_PROTEA_CHECKPOINT_FORMAT', message });
});

test('views of one storage: transposed, sliced, repeated, at an offset', async (t) => {
  const view = (shape: number[], stride: number[], offset = 0) => ({
    ...weights,
    shape,
    stride,
    offset,
  });
  const bytes = torchLegacy({
    transposed: view([3, 2], [1, 3]),
    column: view([2], [3], 1),
    repeated: view([2, 2], [0, 1], 4),
  });
  t.deepEqual((await contents(t, bytes)).tensors, {
    transposed: [1, 4, 2, 5, 3, 6],
    column: [2, 5],
    repeated: [5, 6, 5, 6],
  });
});

test('a view that repeats a number without end takes no memory', async (t) => {
  const huge = { ...weights, shape: [2 ** 20, 2 ** 20], stride: [0, 0] };
  await t.throwsAsync(contents(t, torchLegacy({ huge })), {
    message: /claims 1099511627776 elements/,
  });
});

test('a storage that was changed on the disk is noticed by its checksum', async (t) => {
  const bytes = Buffer.concat([...torchZip({ w: weights })]);
  const at = bytes.indexOf(raw(Float32Array.of(6)));
  bytes[at] = 1;
  await t.throwsAsync(contents(t, bytes), { message: /storage 0 does not have the checksum/ });
});

const entry = (name: string, text = 'x') => [name, Buffer.from(text)] as const;
const archives: [string, (readonly [string, Buffer])[], RegExp][] = [
  ['the same name twice', [entry('a/data.pkl'), entry('a/data.pkl')], /two entries with the name/],
  ['an absolute name', [entry('/etc/passwd')], /the name "\/etc\/passwd"/],
  ['a name that leads out', [entry('a/../../b')], /the name "a\/\.\.\/\.\.\/b"/],
  ['a drive letter', [entry('C:evil')], /the name "C:evil"/],
  ['a backslash', [entry('a\\b')], /the name "a\\\\b"/],
  ['no pickle', [entry('a/other')], /an archive with no data\.pkl/],
  ['two pickles', [entry('a/data.pkl'), entry('b/data.pkl')], /an archive with 2 data\.pkl/],
];
for (const [what, entries, message] of archives)
  test(`an archive with ${what} is refused`, async (t) => {
    await t.throwsAsync(contents(t, Buffer.concat([...zipPieces(entries)])), {
      code: 'ERR_PROTEA_CHECKPOINT_FORMAT',
      message,
    });
  });

test('a compressed entry, hidden bytes and shared bytes are refused', async (t) => {
  const whole = Buffer.concat([...torchZip({ w: weights })]);
  const directory = whole.indexOf('PK\x01\x02', 0, 'latin1');
  const squeezed = Buffer.from(whole);
  squeezed.writeUInt16LE(8, directory + 10);
  await t.throwsAsync(contents(t, squeezed), { message: /is compressed/ });
  await t.throwsAsync(contents(t, Buffer.concat([whole, Buffer.from('x')])), {
    message: /bytes behind its end record/,
  });
  const second = whole.indexOf('PK\x01\x02', directory + 4, 'latin1');
  const overlap = Buffer.from(whole);
  overlap.writeUInt32LE(whole.readUInt32LE(directory + 42), second + 42);
  await t.throwsAsync(contents(t, overlap), { message: /is called .* at byte 0/ });
});

test('an index reads its files as one, and only those beside it', async (t) => {
  const folder = temporaryFolder(t);
  const index = join(folder, 'model.safetensors.index.json');
  const write = (map: object) => writeFileSync(index, JSON.stringify({ weight_map: map }));
  writeFileSync(join(folder, 'one'), one('a', 1));
  writeFileSync(join(folder, 'two'), one('b', 2));
  write({ a: 'one', b: 'two' });
  const file = await openTensorFile(index);
  t.is(file.format, 'safetensors-index');
  t.deepEqual([...file.names], ['a', 'b']);
  t.is(Number((await file.read('b')).values[0]), 2);
  await file.close();
  for (const [map, message] of [
    [{ a: '../one' }, /lies in "\.\.\/one"/],
    [{ a: '/one' }, /lies in/],
    [{ a: 'three' }, /three is missing/],
    [{ c: 'one' }, /one has no tensor "c"/],
    [[], /no "weight_map"/],
  ] as const) {
    write(map);
    await t.throwsAsync(openTensorFile(index), { code: 'ERR_PROTEA_CHECKPOINT_FORMAT', message });
  }
});

/** The same archive with every size and offset in zip64 fields, as torch.save writes beyond 4 GB. */
function inZip64(entry: readonly [string, Buffer]): Buffer {
  const [head, data, directory] = [...zipPieces([entry])] as [Buffer, Buffer, Buffer];
  const wide = Buffer.concat([directory, Buffer.alloc(28)]);
  wide.writeUInt32LE(0xffffffff, 20);
  wide.writeUInt32LE(0xffffffff, 24);
  wide.writeUInt16LE(28, 30);
  wide.writeUInt32LE(0xffffffff, 42);
  wide.writeUInt16LE(1, directory.length);
  wide.writeUInt16LE(24, directory.length + 2);
  [data.length, data.length, 0].forEach((value, i) => {
    wide.writeBigUInt64LE(BigInt(value), directory.length + 4 + 8 * i);
  });
  const begin = head.length + data.length;
  const end = Buffer.alloc(56 + 20 + 22);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  [1, 1, wide.length, begin].forEach((value, i) => {
    end.writeBigUInt64LE(BigInt(value), 24 + 8 * i);
  });
  end.writeUInt32LE(0x07064b50, 56);
  end.writeBigUInt64LE(BigInt(begin + wide.length), 64);
  end.writeUInt32LE(1, 72);
  end.writeUInt32LE(0x06054b50, 76);
  end.fill(0xff, 84, 96);
  return Buffer.concat([head, data, wide, end]);
}

test('zip64 is read; one whose fields are cut short is refused', async (t) => {
  const bytes = inZip64(['archive/data.pkl', Buffer.from('\x80\x02}.', 'latin1')]);
  t.deepEqual(await contents(t, bytes), { format: 'torch', tensors: {} });
  const short = Buffer.from(bytes);
  const field = bytes.indexOf(Buffer.from([1, 0, 24, 0]));
  short.writeUInt16LE(8, field + 2);
  await t.throwsAsync(contents(t, short), { message: /its zip64 field is too short/ });
  const far = Buffer.from(bytes);
  far.writeBigUInt64LE(2n ** 63n, field + 4);
  await t.throwsAsync(contents(t, far), { message: /claims 9223372036854775808 bytes/ });
});

test('a folder is refused by name', async (t) => {
  const folder = temporaryFolder(t);
  const error = await t.throwsAsync(openTensorFile(folder), { code: 'ERR_PROTEA_DATA' });
  t.is(error.message, `${folder}: is a folder: give a file in it`);
});
