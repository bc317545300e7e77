import type { FileHandle } from 'node:fs/promises';
import { ProteaError } from '../error.js';
import { decode, dtypeBytes, type StoredDtype } from './dtypes.js';
import { duplicateKey } from './json-keys.js';
import { bytesAt, damaged, openToRead } from './read-at.js';

/** Element types of the format. */
const dtypes = {
  F64: 'f64',
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  F8_E4M3: 'f8_e4m3',
  F8_E5M2: 'f8_e5m2',
  F8_E4M3FNUZ: 'f8_e4m3fnuz',
  F8_E5M2FNUZ: 'f8_e5m2fnuz',
  F8_E8M0: 'f8_e8m0',
  I64: 'i64',
  I32: 'i32',
  I16: 'i16',
  I8: 'i8',
  U64: 'u64',
  U32: 'u32',
  U16: 'u16',
  U8: 'u8',
  BOOL: 'bool',
  C64: 'c64',
} as const satisfies Record<string, StoredDtype>;

/** Types of less than a byte, whose bytes can be passed over but not read: bits of an element. */
const packedBits: Readonly<Record<string, number>> = { F4: 4, F6_E2M3: 6, F6_E3M2: 6 };

export type SafetensorsDtype = keyof typeof dtypes;

const sizeOf = (dtype: SafetensorsDtype) => dtypeBytes[dtypes[dtype]];

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

const refuse = (file: string, reason: string) =>
  damaged(
    file,
    `not a valid safetensors file: ${reason}`,
    'Check that the file was written completely and is a .safetensors file.',
  );

const whole = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) >= 0;

/** Bits of an element; names are those of the format alone, whatever an object inherits. */
function bitsOf(dtype: unknown): number | undefined {
  if (typeof dtype !== 'string') return undefined;
  if (Object.hasOwn(packedBits, dtype)) return packedBits[dtype];
  return Object.hasOwn(dtypes, dtype) ? 8 * sizeOf(dtype as SafetensorsDtype) : undefined;
}

function parseEntry(file: string, name: string, value: unknown): SafetensorsEntry {
  const entry = value !== null && typeof value === 'object' ? (value as object) : {};
  const { dtype, shape, data_offsets: offsets, ...rest } = entry as Record<string, unknown>;
  const bits = bitsOf(dtype);
  if (!bits) throw refuse(file, `tensor "${name}" has the unknown dtype ${JSON.stringify(dtype)}`);
  if (!Array.isArray(shape) || shape.length > 64 || !shape.every(whole))
    throw refuse(file, `tensor "${name}" has no valid shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(whole))
    throw refuse(file, `tensor "${name}" has no valid data_offsets`);
  if (Object.keys(rest).length)
    throw refuse(file, `tensor "${name}" has the unknown field ${Object.keys(rest)[0]}`);
  const [begin, end] = offsets as [number, number];
  const bytes = shape.reduce((product: number, dim: number) => product * dim, bits) / 8;
  if (!Number.isSafeInteger(bytes) || end - begin !== bytes) {
    throw refuse(
      file,
      `tensor "${name}" of ${dtype} (${shape.join(', ')}) needs ${bytes} bytes but has ${end - begin}`,
    );
  }
  return { dtype: dtype as SafetensorsDtype, shape, begin, end };
}

function parseMetadata(file: string, value: unknown): Record<string, string> {
  const isText = (entry: unknown) => typeof entry === 'string';
  if (value === null || typeof value !== 'object' || !Object.values(value).every(isText))
    throw refuse(file, 'its __metadata__ is no map of texts');
  return value as Record<string, string>;
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

/** The JSON of a header. The format has it begin with "{" and lets spaces follow it. */
function parseJson(file: string, bytes: Uint8Array): object {
  if (bytes[0] !== 0x7b) throw refuse(file, 'its header does not begin with {');
  let text: string;
  let parsed: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    parsed = JSON.parse(text);
  } catch (cause) {
    throw refuse(file, `its header is not JSON (${(cause as Error).message})`);
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) throw refuse(file, `its header names ${JSON.stringify(twice)} twice`);
  return parsed as object;
}

/** Checks and reads the JSON header: `text` is its bytes, `fileBytes` the size of the whole file. */
export function parseSafetensorsHeader(
  file: string,
  text: Uint8Array,
  fileBytes: number,
): SafetensorsHeader {
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(parseJson(file, text))) {
    if (name === '__metadata__') metadata = parseMetadata(file, value);
    else tensors.set(name, parseEntry(file, name, value));
  }
  const dataStart = 8 + text.byteLength;
  checkCover(file, tensors, fileBytes - dataStart);
  return { metadata, tensors, dataStart };
}

/** A zip, or a pickle. */
const isTorch = (start: Buffer) => start[0] === 0x80 || start.toString('latin1', 0, 2) === 'PK';

/** An open safetensors file. Tensors are read when asked for, so memory holds only those. */
export class SafetensorsFile {
  private constructor(
    readonly path: string,
    readonly header: SafetensorsHeader,
    private readonly handle: FileHandle,
  ) {}

  /** @throws ERR_PROTEA_CHECKPOINT_FORMAT naming the file and what is wrong with it. */
  static async open(path: string): Promise<SafetensorsFile> {
    const handle = await openToRead(path);
    try {
      const { size } = await handle.stat();
      const prefix = await bytesAt(handle, path, 0, 8, size);
      const length = prefix.readBigUInt64LE(0);
      if (length > maxHeaderBytes || length > size - 8)
        throw refuse(
          path,
          isTorch(prefix)
            ? 'it is a file of torch.save'
            : `its header claims ${length} bytes of ${size}`,
        );
      const text = await bytesAt(handle, path, 8, Number(length), size);
      const header = parseSafetensorsHeader(path, text, size);
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
    if (!entry) throw damaged(this.path, `there is no tensor "${name}"`);
    const { begin, end, dtype, shape } = entry;
    if (Object.hasOwn(packedBits, dtype))
      throw new ProteaError(
        'ERR_PROTEA_UNSUPPORTED',
        `${this.path}: "${name}" is of ${dtype}, of which several share a byte`,
      );
    const start = this.header.dataStart + begin;
    return { dtype, shape, data: await bytesAt(this.handle, this.path, start, end - begin) };
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/**
 * The raw bytes as an array of numbers; types without an array of their own are widened.
 * @throws ERR_PROTEA_UNSUPPORTED for complex numbers
 */
export function valuesOf({
  dtype,
  data,
}: SafetensorsTensor): Float64Array | Float32Array | Int32Array | Uint8Array {
  const aligned = data.byteOffset % 8 === 0 ? data : data.slice();
  const { buffer, byteOffset: offset } = aligned;
  const count = data.byteLength / sizeOf(dtype);
  if (dtype === 'F64') return new Float64Array(buffer, offset, count);
  if (dtype === 'F32') return new Float32Array(buffer, offset, count);
  if (dtype === 'I32') return new Int32Array(buffer, offset, count);
  if (dtype === 'U8' || dtype === 'BOOL') return new Uint8Array(buffer, offset, count);
  return decode(aligned, dtypes[dtype]);
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
  sizeOf(dtype) * shape.reduce((a, b) => a * b, 1);

function layoutOf(
  tensors: ReadonlyMap<string, SafetensorsShape>,
  metadata: Record<string, string>,
): Layout {
  const names = [...tensors.keys()].sort((a, b) => {
    const order = sizeOf(tensors.get(b)!.dtype) - sizeOf(tensors.get(a)!.dtype);
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
