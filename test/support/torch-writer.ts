// Writes checkpoints as torch.save does, zip and legacy, so that tests need no PyTorch: real ones are
// in the golden vectors.
import { closeSync, openSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';

/** A tensor to write. `data` holds the storage; several tensors of one `key` share it. */
export interface TorchData {
  key: string;
  /** Name of the storage class without "Storage": Float, Half, BFloat16, ... */
  type: string;
  data: Uint8Array;
  /** Elements of the storage. */
  elements: number;
  shape: readonly number[];
  stride?: readonly number[];
  offset?: number;
}

const isTensor = (value: unknown): value is TorchData =>
  typeof value === 'object' && value !== null && 'elements' in value;

/** A namespace of argparse. */
export class Namespace {
  constructor(readonly fields: Record<string, unknown>) {}
}

/** Contiguous floats as a tensor. */
export const floats = (key: string, values: Float32Array, shape: readonly number[]): TorchData => ({
  key,
  type: 'Float',
  data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  elements: values.length,
  shape,
});

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const text = (value: string) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from('X'), u32(bytes.length), bytes]);
};

const op = (code: string) => Buffer.from(code, 'latin1');

function int(value: number): Buffer {
  if (value >= 0 && value < 256) return Buffer.from([0x4b, value]);
  const bytes = Buffer.alloc(5, 'J');
  if (value === (value | 0)) {
    bytes.writeInt32LE(value, 1);
    return bytes;
  }
  const long = Buffer.alloc(10, 0x8a);
  long[1] = 8;
  long.writeBigInt64LE(BigInt(value), 2);
  return long;
}

const tuple = (values: readonly number[]) => Buffer.concat([op('('), ...values.map(int), op('t')]);

/** Storages met while writing. */
class PickleWriter {
  readonly storages = new Map<string, TorchData>();

  value(value: unknown): Buffer {
    if (value === null || value === undefined) return op('N');
    if (typeof value === 'boolean') return op(value ? '\x88' : '\x89');
    if (typeof value === 'string') return text(value);
    if (typeof value === 'number') return Number.isInteger(value) ? int(value) : this.float(value);
    if (Array.isArray(value))
      return Buffer.concat([op(']('), ...value.map((item) => this.value(item)), op('e')]);
    if (isTensor(value)) return this.tensor(value);
    if (value instanceof Namespace)
      return Buffer.concat([
        op('cargparse\nNamespace\n)\x81'),
        this.dict(Object.entries(value.fields)),
        op('b'),
      ]);
    if (value instanceof Map)
      return Buffer.concat([op('ccollections\nOrderedDict\n)R'), this.items([...value])]);
    return this.dict(Object.entries(value as object));
  }

  private float(value: number): Buffer {
    const bytes = Buffer.alloc(9, 'G');
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }

  private dict(entries: readonly (readonly [string, unknown])[]): Buffer {
    return Buffer.concat([op('}'), this.items(entries)]);
  }

  private items(entries: readonly (readonly [string, unknown])[]): Buffer {
    const parts = entries.flatMap(([key, item]) => [text(key), this.value(item)]);
    return Buffer.concat([op('('), ...parts, op('u')]);
  }

  private tensor(tensor: TorchData): Buffer {
    this.storages.set(tensor.key, tensor);
    const { key, type, elements, shape } = tensor;
    const contiguous = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
    return Buffer.concat([
      op('ctorch._utils\n_rebuild_tensor_v2\n(('),
      text('storage'),
      op(`ctorch\n${type}Storage\n`),
      text(key),
      text('cpu'),
      int(elements),
      op('tQ'),
      int(tensor.offset ?? 0),
      tuple(shape),
      tuple(tensor.stride ?? contiguous),
      op('\x89ccollections\nOrderedDict\n)RtR'),
    ]);
  }
}

interface Entry {
  name: string;
  data: Uint8Array;
  offset: number;
  crc: number;
}

/** A local header or, with `central`, one of the directory. */
function header({ name, data, offset, crc }: Entry, padding: number, central: boolean): Buffer {
  const size = central ? 46 : 30;
  const bytes = Buffer.alloc(size + name.length + padding);
  const at = central ? 4 : 2; // the directory has one more field ahead
  bytes.writeUInt32LE(central ? 0x02014b50 : 0x04034b50, 0);
  bytes.writeUInt32LE(crc, at + 12);
  bytes.writeUInt32LE(data.length, at + 16);
  bytes.writeUInt32LE(data.length, at + 20);
  bytes.writeUInt16LE(name.length, at + 24);
  bytes.writeUInt16LE(padding, at + 26);
  if (central) bytes.writeUInt32LE(offset, 42);
  bytes.write(name, size, 'latin1');
  return bytes;
}

/** Pieces of a zip archive of stored entries, each entry's bytes at a multiple of 64. */
export function* zipPieces(files: Iterable<readonly [string, Uint8Array]>): Generator<Uint8Array> {
  const entries: Entry[] = [];
  let at = 0;
  for (const [name, data] of files) {
    const entry = { name, data, offset: at, crc: crc32(data) };
    const padding = (64 - ((at + 30 + name.length) % 64)) % 64;
    const head = header(entry, padding, false);
    entries.push(entry);
    yield head;
    yield data;
    at += head.length + data.length;
  }
  const directory = Buffer.concat(entries.map((entry) => header(entry, 0, true)));
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  yield directory;
  yield end;
}

/** The bytes of `torch.save(value)`, piece by piece. */
export function* torchZip(value: unknown): Generator<Uint8Array> {
  const writer = new PickleWriter();
  const pickle = Buffer.concat([op('\x80\x02'), writer.value(value), op('.')]);
  const storages = [...writer.storages.values()];
  yield* zipPieces([
    ['archive/data.pkl', pickle],
    ...storages.map(({ key, data }) => [`archive/data/${key}`, data] as const),
    ['archive/version', Buffer.from('3\n')],
  ]);
}

/** The bytes of `torch.save(value, _use_new_zipfile_serialization=False)`. */
export function torchLegacy(value: unknown): Buffer {
  const writer = new PickleWriter();
  const object = Buffer.concat([op('\x80\x02'), writer.value(value), op('.')]);
  const storages = [...writer.storages.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const keys = writer.value(storages.map(({ key }) => key));
  const counted = storages.flatMap(({ elements, data }) => {
    const count = Buffer.alloc(8);
    count.writeBigInt64LE(BigInt(elements));
    return [count, data];
  });
  return Buffer.concat([
    op('\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'),
    op('\x80\x02M\xe9\x03.'),
    op('\x80\x02}.'),
    object,
    op('\x80\x02'),
    keys,
    op('.'),
    ...counted,
  ]);
}

/** Writes pieces to a file, one at a time. */
export function writePieces(path: string, pieces: Iterable<Uint8Array>): void {
  const file = openSync(path, 'w');
  try {
    for (const piece of pieces)
      for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
  } finally {
    closeSync(file);
  }
}
