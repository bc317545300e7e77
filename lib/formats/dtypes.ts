// Element types that files hold, and their numbers.
import { ProteaError } from '../error.js';

/** Bytes of one element. */
export const dtypeBytes = {
  f64: 8,
  f32: 4,
  f16: 2,
  bf16: 2,
  f8_e4m3: 1,
  f8_e5m2: 1,
  f8_e4m3fnuz: 1,
  f8_e5m2fnuz: 1,
  f8_e8m0: 1,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u64: 8,
  u32: 4,
  u16: 2,
  u8: 1,
  bool: 1,
  c32: 4,
  c64: 8,
  c128: 16,
} as const;

export type StoredDtype = keyof typeof dtypeBytes;

interface SmallFloat {
  exponentBits: number;
  fractionBits: number;
  bias: number;
  /** ieee: the largest exponent is infinity and NaN. fn: all ones is NaN. fnuz: minus zero is. */
  special: 'ieee' | 'fn' | 'fnuz';
}

const smallFloats: Partial<Record<StoredDtype, SmallFloat>> = {
  f16: { exponentBits: 5, fractionBits: 10, bias: 15, special: 'ieee' },
  bf16: { exponentBits: 8, fractionBits: 7, bias: 127, special: 'ieee' },
  f8_e5m2: { exponentBits: 5, fractionBits: 2, bias: 15, special: 'ieee' },
  f8_e4m3: { exponentBits: 4, fractionBits: 3, bias: 7, special: 'fn' },
  f8_e5m2fnuz: { exponentBits: 5, fractionBits: 2, bias: 16, special: 'fnuz' },
  f8_e4m3fnuz: { exponentBits: 4, fractionBits: 3, bias: 8, special: 'fnuz' },
};

function smallFloat(bits: number, { exponentBits, fractionBits, bias, special }: SmallFloat) {
  const size = 1 + exponentBits + fractionBits;
  const negative = bits >> (size - 1) === 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const magnitude = bits & (2 ** (size - 1) - 1);
  if (special === 'ieee' && exponent === 2 ** exponentBits - 1)
    return fraction ? Number.NaN : negative ? -Infinity : Infinity;
  if (special === 'fn' && magnitude === 2 ** (size - 1) - 1) return Number.NaN;
  if (special === 'fnuz' && negative && !magnitude) return Number.NaN;
  const value = exponent ? 2 ** (exponent - bias) * (1 + fraction) : 2 ** (1 - bias) * fraction;
  return negative ? -value : value;
}

const tables = new Map<StoredDtype, Float32Array>();

/** Every value of a type of at most 16 bits, by its bits. */
function tableOf(dtype: StoredDtype): Float32Array | undefined {
  const known = tables.get(dtype);
  if (known) return known;
  const format = smallFloats[dtype];
  const of = format
    ? (bits: number) => smallFloat(bits, format)
    : dtype === 'f8_e8m0'
      ? (bits: number) => (bits === 255 ? Number.NaN : 2 ** (bits - 127))
      : undefined;
  if (!of) return undefined;
  const table = Float32Array.from({ length: 256 ** dtypeBytes[dtype] }, (_, bits) => of(bits));
  tables.set(dtype, table);
  return table;
}

type Reader = (view: DataView, at: number, little: boolean) => number;

const readers: Partial<Record<StoredDtype, Reader>> = {
  f64: (view, at, little) => view.getFloat64(at, little),
  f32: (view, at, little) => view.getFloat32(at, little),
  i64: (view, at, little) => Number(view.getBigInt64(at, little)),
  u64: (view, at, little) => Number(view.getBigUint64(at, little)),
  i32: (view, at, little) => view.getInt32(at, little),
  u32: (view, at, little) => view.getUint32(at, little),
  i16: (view, at, little) => view.getInt16(at, little),
  u16: (view, at, little) => view.getUint16(at, little),
  i8: (view, at) => view.getInt8(at),
  u8: (view, at) => view.getUint8(at),
  bool: (view, at) => Number(view.getUint8(at) !== 0),
};

const wide = new Set<StoredDtype>(['f64', 'i64', 'u64', 'i32', 'u32']);

/**
 * The numbers behind some bytes, as singles where these hold every value of the type. 64-bit integers
 * beyond 2^53 are rounded.
 * @throws ERR_PROTEA_UNSUPPORTED for complex numbers, naming `what`
 */
export function decode(
  data: Uint8Array,
  dtype: StoredDtype,
  what = 'a tensor',
  little = true,
): Float32Array | Float64Array {
  const bytes = dtypeBytes[dtype];
  const count = data.length / bytes;
  if (little && dtype === 'f32' && data.byteOffset % 4 === 0)
    return new Float32Array(data.buffer as ArrayBuffer, data.byteOffset, count);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const values = wide.has(dtype) ? new Float64Array(count) : new Float32Array(count);
  const table = tableOf(dtype);
  if (table && bytes === 2)
    for (let i = 0; i < count; i++) values[i] = table[view.getUint16(2 * i, little)]!;
  else if (table) for (let i = 0; i < count; i++) values[i] = table[data[i]!]!;
  else readAll(values, view, bytes, readerOf(dtype, what), little);
  return values;
}

function readAll(
  values: Float32Array | Float64Array,
  view: DataView,
  bytes: number,
  read: Reader,
  little: boolean,
): void {
  for (let i = 0; i < values.length; i++) values[i] = read(view, i * bytes, little);
}

function readerOf(dtype: StoredDtype, what: string): Reader {
  const reader = readers[dtype];
  if (reader) return reader;
  throw new ProteaError('ERR_PROTEA_UNSUPPORTED', `${what} holds complex numbers (${dtype})`, {
    hint: 'Only real numbers can be read.',
  });
}
