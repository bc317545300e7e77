import { type FileHandle, open } from 'node:fs/promises';
import { ProteaError } from '../error.js';
import type { TorchDtype } from './torch-globals.js';
import { decode } from './torch-values.js';

/** Element types of the format, with their size in bytes. */
const sizes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

export type SafetensorsDtype = keyof typeof sizes;

/** One tensor of a file: `begin` and `end` are byte offsets into the data that follow the header. */
export interface SafetensorsEntry {
  dtype: SafetensorsDtype;
  shape: number[];
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  metadata: Record<string, string>;
  tensors: Map<string, SafetensorsEntry>;
  /** Byte offset of the data in the file. */
  dataStart: number;
}

/** A tensor to write: its raw little-endian bytes. */
export interface SafetensorsTensor {
  dtype: SafetensorsDtype;
  shape: readonly number[];
  data: Uint8Array;
}

const maxHeaderBytes = 100 * 1024 * 1024;

function refuse(file: string, reason: string): ProteaError {
  return new ProteaError(
    'ERR_PROTEA_CHECKPOINT_FORMAT',
    `${file}: not a valid safetensors file: ${reason}`,
    {
      hint: 'Check that the file was written completely and is a .safetensors file.',
    },
  );
}

function parseEntry(file: string, name: string, value: unknown): SafetensorsEntry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  if (typeof dtype !== 'string' || !(dtype in sizes))
    throw refuse(file, `tensor "${name}" has the unknown dtype ${dtype}`);
  const whole = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(whole))
    throw refuse(file, `tensor "${name}" has no valid shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(whole)) {
    throw refuse(file, `tensor "${name}" has no valid data_offsets`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = shape.reduce(
    (product: number, dim: number) => product * dim,
    sizes[dtype as SafetensorsDtype],
  );
  if (!Number.isSafeInteger(bytes) || end - begin !== bytes) {
    throw refuse(
      file,
      `tensor "${name}" of ${dtype} (${shape.join(', ')}) needs ${bytes} bytes but has ${end - begin}`,
    );
  }
  return { dtype: dtype as SafetensorsDtype, shape, begin, end };
}

/** The tensors must cover the data without holes or overlaps: a byte belongs to one tensor. */
function checkCover(file: string, tensors: Map<string, SafetensorsEntry>, dataBytes: number): void {
  let position = 0;
  for (const [name, { begin, end }] of [...tensors].sort(
    ([, a], [, b]) => a.begin - b.begin || a.end - b.end,
  )) {
    if (begin !== position)
      throw refuse(file, `tensor "${name}" begins at ${begin}, expected ${position}`);
    position = end;
  }
  if (position !== dataBytes)
    throw refuse(file, `the tensors cover ${position} of ${dataBytes} bytes of data`);
}

/** Checks and reads the JSON header: `text` is its bytes, `fileBytes` the size of the whole file. */
export function parseSafetensorsHeader(
  file: string,
  text: Uint8Array,
  fileBytes: number,
): SafetensorsHeader {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (cause) {
    throw refuse(file, `its header is not JSON (${(cause as Error).message})`);
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed))
    throw refuse(file, 'its header is not an object');
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '__metadata__') metadata = value as Record<string, string>;
    else tensors.set(name, parseEntry(file, name, value));
  }
  const dataStart = 8 + text.byteLength;
  checkCover(file, tensors, fileBytes - dataStart);
  return { metadata, tensors, dataStart };
}

/** An open safetensors file. Tensors are read when asked for, so memory holds only those. */
export class SafetensorsFile {
  private constructor(
    readonly path: string,
    readonly header: SafetensorsHeader,
    private readonly handle: FileHandle,
  ) {}

  /** @throws ERR_PROTEA_CHECKPOINT_FORMAT naming the file and what is wrong with it. */
  static async open(path: string): Promise<SafetensorsFile> {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      const prefix = await readAt(handle, path, 0, 8, size);
      const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
      if (length > maxHeaderBytes || length > size - 8)
        throw refuse(path, `its header claims ${length} bytes of ${size}`);
      const header = parseSafetensorsHeader(
        path,
        await readAt(handle, path, 8, length, size),
        size,
      );
      return new SafetensorsFile(path, header, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get names(): string[] {
    return [...this.header.tensors.keys()];
  }

  /** Dtype, shape and raw bytes of one tensor. @throws ERR_PROTEA_CHECKPOINT_FORMAT if it is missing. */
  async read(name: string): Promise<SafetensorsTensor> {
    const entry = this.header.tensors.get(name);
    if (!entry)
      throw new ProteaError(
        'ERR_PROTEA_CHECKPOINT_FORMAT',
        `${this.path}: there is no tensor "${name}"`,
      );
    const { begin, end, dtype, shape } = entry;
    const start = this.header.dataStart + begin;
    return {
      dtype,
      shape,
      data: await readAt(this.handle, this.path, start, end - begin, Infinity),
    };
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

async function readAt(
  handle: FileHandle,
  file: string,
  position: number,
  length: number,
  size: number,
): Promise<Uint8Array> {
  if (position + length > size) throw refuse(file, `it ends after ${size} bytes`);
  const buffer = new Uint8Array(new ArrayBuffer(length));
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) throw refuse(file, `it ends after ${position + done} bytes`);
    done += bytesRead;
  }
  return buffer;
}

/** The raw bytes as an array of numbers; types without an array of their own are widened. */
export function valuesOf({
  dtype,
  data,
}: SafetensorsTensor): Float64Array | Float32Array | Int32Array | Uint8Array {
  const buffer = data.byteOffset % 8 === 0 ? data.buffer : data.slice().buffer;
  const offset = data.byteOffset % 8 === 0 ? data.byteOffset : 0;
  const count = data.byteLength / sizes[dtype];
  if (dtype === 'F64') return new Float64Array(buffer, offset, count);
  if (dtype === 'F32') return new Float32Array(buffer, offset, count);
  if (dtype === 'I32') return new Int32Array(buffer, offset, count);
  if (dtype === 'U8' || dtype === 'BOOL') return new Uint8Array(buffer, offset, count);
  const bytes = Buffer.from(buffer as ArrayBuffer, offset, data.byteLength);
  return decode(bytes, dtype.toLowerCase() as TorchDtype);
}

/** What a file says of a tensor, without its bytes. */
export type SafetensorsShape = Pick<SafetensorsTensor, 'dtype' | 'shape'>;

interface Layout {
  /** Tensors in the order of the file: by falling alignment, then by name. */
  names: string[];
  /** The length and the header, padded to a multiple of 8. */
  head: Uint8Array;
}

const bytesOf = ({ dtype, shape }: SafetensorsShape) =>
  sizes[dtype] * shape.reduce((a, b) => a * b, 1);

function layoutOf(
  tensors: ReadonlyMap<string, SafetensorsShape>,
  metadata: Record<string, string>,
): Layout {
  const names = [...tensors.keys()].sort((a, b) => {
    const order = sizes[tensors.get(b)!.dtype] - sizes[tensors.get(a)!.dtype];
    return order || (a < b ? -1 : 1);
  });
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length) header.__metadata__ = metadata;
  let position = 0;
  for (const name of names) {
    const { dtype, shape } = tensors.get(name)!;
    const end = position + bytesOf(tensors.get(name)!);
    header[name] = { dtype, shape, data_offsets: [position, end] };
    position = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(json.length / 8) * 8;
  const head = new Uint8Array(8 + padded).fill(0x20, 8);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(json, 8);
  return { names, head };
}

/**
 * The bytes of a safetensors file, piece by piece: each tensor is fetched when its turn comes, so a
 * large file needs no large buffer. Equal contents give equal bytes.
 */
export async function* safetensorsChunks(
  tensors: ReadonlyMap<string, SafetensorsShape & { fetch(): Promise<Uint8Array> }>,
  metadata: Record<string, string> = {},
): AsyncGenerator<Uint8Array> {
  const { names, head } = layoutOf(tensors, metadata);
  yield head;
  for (const name of names) yield await tensors.get(name)!.fetch();
}

/** The bytes of a small safetensors file at once. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Record<string, string> = {},
): Uint8Array {
  const { names, head } = layoutOf(tensors, metadata);
  const parts = [head, ...names.map((name) => tensors.get(name)!.data)];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}
