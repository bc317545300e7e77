import { type TorchDtype, torchBytes } from './torch-globals.js';

/** IEEE half precision. */
function half(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return (
    sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024))
  );
}

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** The upper half of a single. */
function brain(bits: number): number {
  word[0] = bits << 16;
  return single[0]!;
}

const readers: Record<TorchDtype, (view: DataView, at: number) => number> = {
  f64: (view, at) => view.getFloat64(at, true),
  f32: (view, at) => view.getFloat32(at, true),
  f16: (view, at) => half(view.getUint16(at, true)),
  bf16: (view, at) => brain(view.getUint16(at, true)),
  i64: (view, at) => Number(view.getBigInt64(at, true)),
  i32: (view, at) => view.getInt32(at, true),
  i16: (view, at) => view.getInt16(at, true),
  i8: (view, at) => view.getInt8(at),
  u8: (view, at) => view.getUint8(at),
  bool: (view, at) => Number(view.getUint8(at) !== 0),
};

/** Little-endian numbers, as singles where these hold every value of the type. */
export function decode(data: Buffer, dtype: TorchDtype): Float32Array | Float64Array {
  const bytes = torchBytes[dtype];
  const count = data.length / bytes;
  if (dtype === 'f32' && data.byteOffset % 4 === 0)
    return new Float32Array(data.buffer, data.byteOffset, count);
  const wide = dtype === 'f64' || dtype === 'i64' || dtype === 'i32';
  const values = wide ? new Float64Array(count) : new Float32Array(count);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const read = readers[dtype];
  for (let i = 0; i < count; i++) values[i] = read(view, i * bytes);
  return values;
}
