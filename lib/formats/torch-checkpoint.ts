// Checkpoints of torch.save, in the zip format and in the one before it. Storages are read when a
// tensor is asked for.
import { type FileHandle, open } from 'node:fs/promises';
import { ProteaError } from '../error.js';
import { type PickleOptions, PickleTruncated, readPickle } from './pickle.js';
import { bytesAt, type ZipEntry, zipEntries } from './stored-zip.js';
import {
  type Storage,
  StorageType,
  TorchTensor,
  torchBytes,
  torchGlobal,
} from './torch-globals.js';
import { decode } from './torch-values.js';

export interface NamedTensor {
  values: Float64Array | Float32Array;
  shape: number[];
}

const largestPickle = 2 ** 28;
const largestTensor = 2 ** 31;
const legacyMagic = '119547037146038801333356';

const refuse = (file: string, what: string) =>
  new ProteaError('ERR_PROTEA_CHECKPOINT_FORMAT', `${file}: ${what}`, {
    hint: 'The file is damaged or cut short.',
  });

/** An open checkpoint: its values, and tensors by the path of keys that leads to them. */
export class TorchCheckpoint {
  readonly tensors: ReadonlyMap<string, TorchTensor>;

  private constructor(
    readonly path: string,
    /** Dicts and objects as Maps, lists and tuples as arrays, tensors as views that are not read. */
    readonly value: unknown,
    private readonly storages: ReadonlyMap<string, ZipEntry>,
    private readonly handle: FileHandle,
  ) {
    this.tensors = new Map(namedTensors(value));
  }

  /**
   * Opens a checkpoint of either format without running anything in it.
   * @throws ERR_PROTEA_PICKLE_FORBIDDEN when it asks for anything but data
   * @throws ERR_PROTEA_CHECKPOINT_FORMAT when it is damaged, or claims more than it holds
   */
  static async open(path: string): Promise<TorchCheckpoint> {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      const start = await bytesAt(handle, path, 0, Math.min(4, size));
      const read = start.toString('latin1') === 'PK\x03\x04' ? readZip : readLegacy;
      const { value, storages } = await read(handle, path, size);
      return new TorchCheckpoint(path, value, storages, handle);
    } catch (error) {
      await handle.close();
      if (error instanceof PickleTruncated) throw refuse(path, 'its pickle breaks off');
      throw error;
    }
  }

  get names(): string[] {
    return [...this.tensors.keys()];
  }

  /** The numbers of one tensor, contiguous, in row-major order. */
  async read(name: string): Promise<NamedTensor> {
    const tensor = this.tensors.get(name);
    if (!tensor) throw refuse(this.path, `has no tensor "${name}"`);
    const { storage, shape, stride, offset } = tensor;
    const count = shape.reduce((a, b) => a * b, 1);
    if (count > largestTensor) throw refuse(this.path, `${name} claims ${count} elements`);
    const span = count ? shape.reduce((at, n, i) => at + (n - 1) * stride[i]!, 0) + 1 : 0;
    const bytes = torchBytes[storage.dtype];
    const begin = this.storages.get(storage.key)!.begin + offset * bytes;
    const data = await bytesAt(this.handle, this.path, begin, span * bytes);
    return {
      values: gathered(decode(data, storage.dtype), shape, stride, count),
      shape: [...shape],
    };
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Elements of a strided view in row-major order; the numbers themselves where that is their order. */
function gathered<T extends Float32Array | Float64Array>(
  from: T,
  shape: readonly number[],
  stride: readonly number[],
  count: number,
): T {
  const steps = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  if (from.length === count && stride.every((s, i) => s === steps[i] || shape[i] === 1))
    return from;
  const to = new (from.constructor as new (n: number) => T)(count);
  const index = shape.map(() => 0);
  for (let i = 0, at = 0; i < count; i++) {
    to[i] = from[at]!;
    for (let d = shape.length - 1; d >= 0; d--) {
      at += stride[d]!;
      if (++index[d]! < shape[d]!) break;
      at -= stride[d]! * shape[d]!;
      index[d] = 0;
    }
  }
  return to;
}

/** Tensors below a value, by the keys that lead to them. */
function* namedTensors(
  value: unknown,
  path: readonly string[] = [],
  above: ReadonlySet<unknown> = new Set(),
): Generator<[string, TorchTensor]> {
  if (value instanceof TorchTensor) yield [path.join('.'), value];
  const inside = value instanceof Map ? value : Array.isArray(value) ? value.entries() : undefined;
  if (!inside || above.has(value) || path.length > 32) return;
  const within = new Set(above).add(value);
  for (const [key, item] of inside) yield* namedTensors(item, [...path, String(key)], within);
}

/** Pickle options that note every storage the tensors refer to. */
function storageReader(file: string, known: Map<string, Storage>): PickleOptions {
  return {
    file,
    global: (module, name) => torchGlobal(file, module, name),
    persistent(id) {
      const [kind, type, key, , elements] = Array.isArray(id) ? id : [];
      if (kind !== 'storage' || !(type instanceof StorageType) || !Number.isSafeInteger(elements))
        throw refuse(file, 'refers to something that is no storage');
      const storage = { key: String(key), dtype: type.dtype, elements: elements as number };
      const before = known.get(storage.key);
      if (before && (before.dtype !== storage.dtype || before.elements !== storage.elements))
        throw refuse(file, `storage ${storage.key} has two sizes`);
      known.set(storage.key, before ?? storage);
      return before ?? storage;
    },
  };
}

interface Parts {
  value: unknown;
  storages: Map<string, ZipEntry>;
}

async function readZip(handle: FileHandle, file: string, size: number): Promise<Parts> {
  const entries = await zipEntries(handle, file, size);
  const name = [...entries.keys()].find((entry) => /^[^/]+\/data\.pkl$/.test(entry));
  if (!name) throw refuse(file, 'is an archive without data.pkl');
  const folder = name.slice(0, -'data.pkl'.length);
  const order = entries.get(`${folder}byteorder`);
  if (order && (await bytesAt(handle, file, order.begin, order.bytes)).toString() !== 'little')
    throw refuse(file, 'is not little-endian');
  const { begin, bytes } = entries.get(name)!;
  if (bytes > largestPickle) throw refuse(file, `${name} claims ${bytes} bytes`);
  const known = new Map<string, Storage>();
  const pickle = await bytesAt(handle, file, begin, bytes);
  const { value } = readPickle(pickle, storageReader(file, known));
  const storages = new Map<string, ZipEntry>();
  for (const { key, dtype, elements } of known.values()) {
    const entry = entries.get(`${folder}data/${key}`);
    if (!entry) throw refuse(file, `${folder}data/${key} is not there`);
    if (entry.bytes < elements * torchBytes[dtype])
      throw refuse(
        file,
        `${folder}data/${key} holds ${entry.bytes} bytes, not ${elements} ${dtype}`,
      );
    storages.set(key, entry);
  }
  return { value, storages };
}

/** The pickles at the head of a file, read with more and more of it until they end. */
async function legacyHead(handle: FileHandle, file: string, size: number) {
  for (let length = Math.min(size, 1 << 20); ; length = Math.min(size, length * 4)) {
    const head = await bytesAt(handle, file, 0, Math.min(length, largestPickle));
    const known = new Map<string, Storage>();
    try {
      const options = storageReader(file, known);
      const magic = readPickle(head, options);
      if (String(magic.value) !== legacyMagic) throw refuse(file, 'is no checkpoint of torch.save');
      const version = readPickle(head, options, magic.end);
      const system = readPickle(head, options, version.end);
      const object = readPickle(head, options, system.end);
      const keys = readPickle(head, options, object.end);
      return { known, value: object.value, keys: keys.value, end: keys.end };
    } catch (error) {
      if (!(error instanceof PickleTruncated) || length >= Math.min(size, largestPickle))
        throw error;
    }
  }
}

/** Five pickles, then for each storage its number of elements and its bytes. */
async function readLegacy(handle: FileHandle, file: string, size: number): Promise<Parts> {
  const { known, value, keys, end } = await legacyHead(handle, file, size);
  const storages = new Map<string, ZipEntry>();
  let at = end;
  for (const key of Array.isArray(keys) ? keys.map(String) : []) {
    const storage = known.get(key);
    if (!storage) throw refuse(file, `storage ${key} belongs to no tensor`);
    const elements = Number((await bytesAt(handle, file, at, 8)).readBigInt64LE(0));
    const bytes = elements * torchBytes[storage.dtype];
    if (elements !== storage.elements || at + 8 + bytes > size)
      throw refuse(
        file,
        `storage ${key} at byte ${at} holds ${elements} of ${storage.elements} elements`,
      );
    storages.set(key, { begin: at + 8, bytes });
    at += 8 + bytes;
  }
  for (const key of known.keys())
    if (!storages.has(key)) throw refuse(file, `storage ${key} is not there`);
  return { value, storages };
}
