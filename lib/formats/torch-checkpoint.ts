// Checkpoints of torch.save, in the zip format and in the one before it. Storages are read when a
// tensor is asked for.
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { decode, dtypeBytes } from './dtypes.js';
import { type PickleOptions, PickleTruncated, readPickle } from './pickle.js';
import { bytesAt, damaged, openToRead } from './read-at.js';
import { type ZipEntry, zipEntries } from './stored-zip.js';
import {
  type Storage,
  StorageType,
  storageBytes,
  TorchTensor,
  torchGlobal,
} from './torch-globals.js';

export interface NamedTensor {
  values: Float64Array | Float32Array;
  shape: number[];
}

const largestPickle = 2 ** 28;
/** A view may repeat its storage; it may not take more memory than this, or twice the file. */
const spareBytes = 2 ** 24;
const mostNames = 1 << 20;
const mostNameText = 2 ** 26;
const deepest = 32;
const legacyMagic = '119547037146038801333356';

const refuse = (file: string, what: string) => damaged(file, what);

/** An open checkpoint: its values, and tensors by the path of keys that leads to them. */
export class TorchCheckpoint {
  readonly tensors: ReadonlyMap<string, TorchTensor>;

  private constructor(
    readonly path: string,
    /** Dicts and objects as Maps, lists and tuples as arrays, tensors as views that are not read. */
    readonly value: unknown,
    private readonly storages: ReadonlyMap<string, ZipEntry>,
    private readonly handle: FileHandle,
    private readonly size: number,
  ) {
    this.tensors = namedTensors(path, value);
  }

  /**
   * Opens a checkpoint of either format without running anything in it.
   * @throws ERR_PROTEA_PICKLE_FORBIDDEN when it asks for anything but data
   * @throws ERR_PROTEA_CHECKPOINT_FORMAT when it is damaged, or claims more than it holds
   */
  static async open(path: string): Promise<TorchCheckpoint> {
    const handle = await openToRead(path);
    try {
      const { size } = await handle.stat();
      const start = await bytesAt(handle, path, 0, Math.min(4, size));
      const read = start.toString('latin1') === 'PK\x03\x04' ? readZip : readLegacy;
      const { value, storages } = await read(handle, path, size);
      return new TorchCheckpoint(path, value, storages, handle, size);
    } catch (error) {
      await handle.close();
      if (error instanceof PickleTruncated) throw refuse(path, 'its pickle breaks off');
      if (error instanceof RangeError) throw refuse(path, `is malformed: ${error.message}`);
      throw error;
    }
  }

  get names(): string[] {
    return [...this.tensors.keys()];
  }

  /**
   * The numbers of one tensor, contiguous, in row-major order.
   * @throws ERR_PROTEA_CHECKPOINT_FORMAT when its bytes are not those that were written
   * @throws ERR_PROTEA_UNSUPPORTED when they are complex
   */
  async read(name: string): Promise<NamedTensor> {
    const tensor = this.tensors.get(name);
    if (!tensor) throw refuse(this.path, `has no tensor "${name}"`);
    const { storage, dtype, shape, stride, offset } = tensor;
    const count = shape.reduce((a, b) => a * b, 1);
    if (count * 4 > Math.max(spareBytes, 2 * this.size))
      throw refuse(this.path, `${name} claims ${count} elements in a file of ${this.size} bytes`);
    const span = count ? shape.reduce((at, n, i) => at + (n - 1) * stride[i]!, 0) + 1 : 0;
    const data = await this.bytesOf(storage, offset * dtypeBytes[dtype], span * dtypeBytes[dtype]);
    return {
      values: gathered(decode(data, dtype, `${this.path}: ${name}`), shape, stride, count),
      shape: [...shape],
    };
  }

  /** Some bytes of a storage; the whole of it is checked against its checksum. */
  private async bytesOf(storage: Storage, from: number, length: number): Promise<Buffer> {
    const { begin, crc } = this.storages.get(storage.key)!;
    const data = await bytesAt(this.handle, this.path, begin + from, length, this.size);
    if (crc && from === 0 && length === storageBytes(storage) && crc32(data) !== crc)
      throw refuse(
        this.path,
        `storage ${storage.key} does not have the checksum it was saved with`,
      );
    return data;
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
function namedTensors(file: string, root: unknown): Map<string, TorchTensor> {
  const found = new Map<string, TorchTensor>();
  let visited = 0;
  let text = 0;
  const visit = (value: unknown, path: string, depth: number) => {
    if (++visited > mostNames) throw refuse(file, `leads to more than ${mostNames} values`);
    if (value instanceof TorchTensor) {
      text += path.length;
      if (text > mostNameText) throw refuse(file, 'has names of tensors that are too long');
      found.set(path, value);
    }
    const inside = value instanceof Map || Array.isArray(value) ? value.entries() : [];
    if (depth > deepest) return;
    for (const [key, item] of inside)
      if (typeof item === 'object' && item !== null)
        visit(item, path ? `${path}.${keyText(key)}` : keyText(key), depth + 1);
  };
  visit(root, '', 0);
  return found;
}

const keyText = (key: unknown) =>
  typeof key === 'object' || typeof key === 'function' ? '?' : String(key);

/** Pickle options that note every storage the tensors refer to. */
function storageReader(file: string, storages: Map<string, Storage>): PickleOptions {
  return {
    file,
    global: (module, name) => torchGlobal(file, module, name),
    persistent(id) {
      const [kind, type, key, , elements, view] = Array.isArray(id) ? id : [];
      const known = typeof key === 'string' || typeof key === 'number';
      if (kind !== 'storage' || !(type instanceof StorageType) || !known)
        throw refuse(file, 'refers to something that is no storage');
      if (!Number.isSafeInteger(elements) || (elements as number) < 0)
        throw refuse(file, `storage ${key} has no valid size`);
      if (view !== undefined && view !== null)
        throw refuse(file, `storage ${key} is a view of another, as PyTorch wrote before 0.4`);
      const storage = { key: String(key), dtype: type.dtype, elements: elements as number };
      const before = storages.get(storage.key);
      if (before && (before.dtype !== storage.dtype || before.elements !== storage.elements))
        throw refuse(file, `storage ${storage.key} has two sizes`);
      storages.set(storage.key, before ?? storage);
      return before ?? storage;
    },
  };
}

interface Parts {
  value: unknown;
  storages: Map<string, ZipEntry>;
}

/** The bytes of a small entry, checked against its checksum. */
async function wholeEntry(
  handle: FileHandle,
  file: string,
  name: string,
  { begin, bytes, crc }: ZipEntry,
): Promise<Buffer> {
  if (bytes > largestPickle) throw refuse(file, `${name} claims ${bytes} bytes`);
  const data = await bytesAt(handle, file, begin, bytes);
  if (crc && crc32(data) !== crc)
    throw refuse(file, `${name} does not have the checksum it was saved with`);
  return data;
}

/** The one data.pkl of an archive. */
function pickleName(file: string, entries: ReadonlyMap<string, ZipEntry>): string {
  const names = [...entries.keys()].filter((entry) => /^[^/]+\/data\.pkl$/.test(entry));
  if (names.length === 1) return names[0]!;
  throw refuse(file, `is an archive with ${names.length || 'no'} data.pkl`);
}

async function readZip(handle: FileHandle, file: string, size: number): Promise<Parts> {
  const entries = await zipEntries(handle, file, size);
  const name = pickleName(file, entries);
  const folder = name.slice(0, -'data.pkl'.length);
  const order = entries.get(`${folder}byteorder`);
  if (order && (await wholeEntry(handle, file, 'byteorder', order)).toString() !== 'little')
    throw refuse(file, 'is not little-endian');
  const known = new Map<string, Storage>();
  const pickle = await wholeEntry(handle, file, name, entries.get(name)!);
  const { value } = readPickle(pickle, storageReader(file, known));
  const storages = new Map<string, ZipEntry>();
  for (const storage of known.values()) {
    const entry = entries.get(`${folder}data/${storage.key}`);
    if (!entry) throw refuse(file, `${folder}data/${storage.key} is not there`);
    if (entry.bytes < storageBytes(storage))
      throw refuse(
        file,
        `${folder}data/${storage.key} holds ${entry.bytes} bytes, not ${storageBytes(storage)}`,
      );
    storages.set(storage.key, entry.bytes === storageBytes(storage) ? entry : { ...entry, crc: 0 });
  }
  return { value, storages };
}

/** The pickles at the head of a file, read with more and more of it until they end. */
async function legacyHead(handle: FileHandle, file: string, size: number) {
  for (let length = Math.min(size, 1 << 20); ; length = Math.min(size, length * 4)) {
    const head = await bytesAt(handle, file, 0, Math.min(length, largestPickle), size);
    const known = new Map<string, Storage>();
    try {
      const options = storageReader(file, known);
      const magic = readPickle(head, options);
      if (typeof magic.value !== 'bigint' || String(magic.value) !== legacyMagic)
        throw refuse(file, 'is no checkpoint of torch.save');
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
  for (const key of Array.isArray(keys) ? keys.map(keyText) : []) {
    const storage = known.get(key);
    if (!storage || storages.has(key))
      throw refuse(file, `storage ${key} ${storage ? 'comes twice' : 'belongs to no tensor'}`);
    const elements = (await bytesAt(handle, file, at, 8, size)).readBigInt64LE(0);
    const bytes = storageBytes(storage);
    if (elements !== BigInt(storage.elements) || at + 8 + bytes > size)
      throw refuse(
        file,
        `storage ${key} at byte ${at} holds ${elements} of ${storage.elements} elements`,
      );
    storages.set(key, { begin: at + 8, bytes, crc: 0 });
    at += 8 + bytes;
  }
  for (const key of known.keys())
    if (!storages.has(key)) throw refuse(file, `storage ${key} is not there`);
  if (at !== size) throw refuse(file, `has ${size - at} bytes behind its last storage`);
  return { value, storages };
}
