// The array format of numpy, versions 1 to 3. Arrays of objects are pickles and are refused.
import type { FileHandle } from 'node:fs/promises';
import { ProteaError } from '../error.js';
import { decode, dtypeBytes, type StoredDtype } from './dtypes.js';
import { bytesAt, damaged, openToRead } from './read-at.js';

const magic = '\x93NUMPY';
const maxHeaderBytes = 1 << 20;
const alignment = 64;

const kinds: Record<string, StoredDtype> = {
  f8: 'f64',
  f4: 'f32',
  f2: 'f16',
  i8: 'i64',
  i4: 'i32',
  i2: 'i16',
  i1: 'i8',
  u8: 'u64',
  u4: 'u32',
  u2: 'u16',
  u1: 'u8',
  b1: 'bool',
  c8: 'c64',
  c16: 'c128',
};

const refuse = (file: string, reason: string) =>
  damaged(file, `not a valid npy file: ${reason}`, 'Save the array again with numpy.save.');

interface NpyHeader {
  dtype: StoredDtype;
  little: boolean;
  /** Columns come first in the file. */
  fortran: boolean;
  shape: number[];
  dataStart: number;
}

/** The Python dict of a header: the three keys of the format, each once, in any order. */
function parseHeader(file: string, text: string, dataStart: number): NpyHeader {
  const body = /^\{(.*?),?\s*\}\s*$/s.exec(text)?.[1];
  const field =
    /\s*'(descr|fortran_order|shape)':\s*('[^']*'|True|False|\(\s*[\d\s,L]*\)|\[.*\])\s*(?:,|$)/y;
  const found = new Map<string, string>();
  for (field.lastIndex = 0; body !== undefined && field.lastIndex < body.length; ) {
    const match = field.exec(body);
    if (!match || found.has(match[1]!)) throw refuse(file, `its header is ${shown(text)}`);
    found.set(match[1]!, match[2]!);
  }
  if (found.size !== 3) throw refuse(file, `its header is ${shown(text)}`);
  const [descr, order, shape] = ['descr', 'fortran_order', 'shape'].map((key) => found.get(key)!);
  return { ...parseType(file, descr!), ...parseLayout(file, order!, shape!), dataStart };
}

const shown = (text: string) => JSON.stringify(text.trim().slice(0, 80));

function parseType(file: string, descr: string): Pick<NpyHeader, 'dtype' | 'little'> {
  const [, order, kind] = /^'([<>|=])([a-zA-Z]\d+)'$/.exec(descr) ?? [];
  if (kind && Object.hasOwn(kinds, kind)) return { dtype: kinds[kind]!, little: order !== '>' };
  if (/O/.test(descr))
    throw new ProteaError(
      'ERR_PROTEA_PICKLE_FORBIDDEN',
      `${file}: holds Python objects (${descr}), which could run code`,
      { hint: 'Nothing was run. Save an array of numbers.' },
    );
  throw refuse(file, `its numbers are of the unknown kind ${shown(descr)}`);
}

function parseLayout(
  file: string,
  order: string,
  text: string,
): Pick<NpyHeader, 'fortran' | 'shape'> {
  const list = /^\(\s*((?:\d+L?\s*,\s*)*(?:\d+L?)?)\s*\)$/.exec(text)?.[1];
  if (list === undefined || !/^(True|False)$/.test(order))
    throw refuse(file, `its shape is ${shown(text)}`);
  const shape = list.split(',').filter((part) => part.trim());
  const sizes = shape.map((part) => Number.parseInt(part, 10));
  if (sizes.length > 32 || !sizes.every(Number.isSafeInteger))
    throw refuse(file, `its shape is ${shown(text)}`);
  return { fortran: order === 'True', shape: sizes };
}

async function readHeader(handle: FileHandle, file: string, size: number): Promise<NpyHeader> {
  const start = await bytesAt(handle, file, 0, Math.min(size, 12), size);
  const version = start[6] ?? 0;
  if (start.toString('latin1', 0, 6) !== magic || version < 1 || version > 3 || start[7] !== 0)
    throw refuse(file, 'it does not begin as one');
  const short = version === 1;
  if (start.length < 12) throw refuse(file, 'its header breaks off');
  const length = short ? start.readUInt16LE(8) : start.readUInt32LE(8);
  if (length > maxHeaderBytes) throw refuse(file, `its header claims ${length} bytes`);
  const begin = short ? 10 : 12;
  const text = await bytesAt(handle, file, begin, length, size);
  return parseHeader(file, text.toString(version === 3 ? 'utf8' : 'latin1'), begin + length);
}

export interface NpyArray {
  /** Row by row, whatever the order in the file. */
  values: Float32Array | Float64Array;
  shape: readonly number[];
}

/** An open npy file: one array without a name. */
export class NpyFile {
  private constructor(
    readonly path: string,
    private readonly header: NpyHeader,
    private readonly handle: FileHandle,
  ) {}

  /**
   * @throws ERR_PROTEA_CHECKPOINT_FORMAT when it is damaged, cut short or followed by other bytes
   * @throws ERR_PROTEA_PICKLE_FORBIDDEN when it holds Python objects
   */
  static async open(path: string): Promise<NpyFile> {
    const handle = await openToRead(path);
    try {
      const { size } = await handle.stat();
      const header = await readHeader(handle, path, size);
      const bytes = header.shape.reduce((a, b) => a * b, dtypeBytes[header.dtype]);
      if (header.dataStart + bytes !== size)
        throw refuse(
          path,
          `(${header.shape.join(', ')}) of ${header.dtype} needs ${bytes} bytes but has ${size - header.dataStart}`,
        );
      return new NpyFile(path, header, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get shape(): readonly number[] {
    return this.header.shape;
  }

  /** @throws ERR_PROTEA_UNSUPPORTED for complex numbers */
  async read(): Promise<NpyArray> {
    const { dtype, little, fortran, shape, dataStart } = this.header;
    const bytes = shape.reduce((a, b) => a * b, dtypeBytes[dtype]);
    const data = await bytesAt(this.handle, this.path, dataStart, bytes);
    const values = decode(data, dtype, this.path, little);
    return { values: fortran && shape.length > 1 ? rowByRow(values, shape) : values, shape };
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** From the order in which the first index runs fastest to that in which the last does. */
function rowByRow<T extends Float32Array | Float64Array>(from: T, shape: readonly number[]): T {
  const to = from.slice() as T;
  const index = shape.map(() => 0);
  for (let i = 0; i < from.length; i++) {
    to[i] = from[shape.reduceRight((at, n, d) => at * n + index[d]!, 0)]!;
    for (let d = shape.length - 1; d >= 0 && ++index[d]! === shape[d]!; d--) index[d] = 0;
  }
  return to;
}

const descrs = new Map<unknown, string>([
  [Float32Array, '<f4'],
  [Float64Array, '<f8'],
  [Int32Array, '<i4'],
  [Uint8Array, '|u1'],
]);

/**
 * The bytes of an npy file (version 1.0, little-endian, row by row), as numpy.save writes them.
 * @throws ERR_PROTEA_SHAPE when the values do not fill the shape
 */
export function encodeNpy(
  values: Float32Array | Float64Array | Int32Array | Uint8Array,
  shape: readonly number[],
): Uint8Array {
  if (shape.reduce((a, b) => a * b, 1) !== values.length)
    throw new ProteaError(
      'ERR_PROTEA_SHAPE',
      `[encodeNpy] ${values.length} values do not fill (${shape.join(', ')})`,
    );
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const dict = `{'descr': '${descrs.get(values.constructor)}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const length = Math.ceil((11 + dict.length) / alignment) * alignment;
  const bytes = Buffer.alloc(length + values.byteLength, ' ');
  bytes.write(magic, 0, 'latin1');
  bytes.set([1, 0], 6);
  bytes.writeUInt16LE(length - 10, 8);
  bytes.write(dict, 10, 'latin1');
  bytes[length - 1] = 0x0a;
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), length);
  return bytes;
}
