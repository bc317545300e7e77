import { ProteaError } from '../error.js';
import { type Described, type DeviceName, type DType, native, nativeAsync } from '../native.js';
import { currentDevice } from './device.js';

export type { DType } from '../native.js';

const arrays = { f32: Float32Array, f64: Float64Array, i32: Int32Array, u8: Uint8Array } as const;

/** The typed array that holds values of a dtype. */
export type Values = Float32Array | Float64Array | Int32Array | Uint8Array;

function arrayOf(dtype: DType) {
  if (dtype !== 'bf16') return arrays[dtype];
  throw new ProteaError('ERR_PROTEA_DTYPE', '[tensor] cannot be made of bf16 values', {
    hint: 'Make it of f32: ops store bf16 by themselves where a GPU computes in it.',
  });
}

/**
 * A handle to a native, contiguous, row-major tensor. It dies with the scope it was made in, or by
 * `dispose()`; using it afterwards throws `ERR_PROTEA_DISPOSED`.
 */
export class Tensor {
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly device: DeviceName;

  constructor({ id, shape, dtype, device }: Described) {
    this.id = id;
    this.shape = shape;
    this.dtype = dtype;
    this.device = device;
  }

  /** The number of elements. */
  get size(): number {
    return this.shape.reduce((product, dim) => product * dim, 1);
  }

  /** Copies the values to JavaScript, after all work queued so far. Those of bf16 become f32. */
  async read(): Promise<Values> {
    const buffer = await nativeAsync((addon) => addon.read(this.id));
    return this.dtype === 'bf16' ? widened(buffer) : new arrays[this.dtype](buffer);
  }

  /** The value of a tensor of one element. @throws ERR_PROTEA_SHAPE for any other. */
  async item(): Promise<number> {
    if (this.size !== 1) {
      throw new ProteaError(
        'ERR_PROTEA_SHAPE',
        `[item] needs one element, got (${this.shape.join(', ')})`,
      );
    }
    return (await this.read())[0]!;
  }

  /** The same values under another shape of as many elements; no copy. */
  reshape(shape: readonly number[]): Tensor {
    return new Tensor(native((addon) => addon.reshape(this.id, shape)));
  }

  /** Frees the handle. Freeing twice is fine. */
  dispose(): void {
    native((addon) => addon.free(this.id));
  }
}

/**
 * Makes a tensor from values, which are copied. Plain arrays become f32 unless `dtype` is given.
 * @throws ERR_PROTEA_SHAPE when values and shape do not fit; ERR_PROTEA_DTYPE for f64 on cuda and
 * for bf16
 */
export function tensor(
  values: Values | readonly number[],
  shape: readonly number[],
  dtype?: DType,
  device: DeviceName = currentDevice(),
): Tensor {
  const type = dtype ?? dtypeOf(values);
  const data =
    values instanceof arrayOf(type) ? values : new (arrayOf(type))(values as readonly number[]);
  return new Tensor(native((addon) => addon.make(shape, type, data, device)));
}

/** A bf16 number is the upper half of an f32. */
function widened(buffer: ArrayBuffer): Float32Array {
  const bits = Uint32Array.from(new Uint16Array(buffer), (half) => half << 16);
  return new Float32Array(bits.buffer);
}

function dtypeOf(values: Values | readonly number[]): DType {
  if (values instanceof Float64Array) return 'f64';
  if (values instanceof Int32Array) return 'i32';
  if (values instanceof Uint8Array) return 'u8';
  return 'f32';
}

/** A tensor of zeros. */
export function zeros(shape: readonly number[], dtype: DType = 'f32', device?: DeviceName): Tensor {
  return full(shape, 0, dtype, device);
}

/** A tensor of one value. */
export function full(
  shape: readonly number[],
  value: number,
  dtype: DType = 'f32',
  device?: DeviceName,
): Tensor {
  const size = shape.reduce((product, dim) => product * dim, 1);
  return tensor(new (arrayOf(dtype))(size).fill(value), shape, dtype, device);
}
