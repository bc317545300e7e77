// What a PyTorch checkpoint may call: the makers of tensors, storages and plain values. Nothing else.
import { ProteaError } from '../error.js';
import { type Callable, PickledObject } from './pickle.js';

export type TorchDtype =
  | 'f64'
  | 'f32'
  | 'f16'
  | 'bf16'
  | 'i64'
  | 'i32'
  | 'i16'
  | 'i8'
  | 'u8'
  | 'bool';

export const torchBytes: Record<TorchDtype, number> = {
  f64: 8,
  f32: 4,
  f16: 2,
  bf16: 2,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u8: 1,
  bool: 1,
};

/** The dtype behind torch.FloatStorage and its like. */
export class StorageType {
  constructor(readonly dtype: TorchDtype) {}
}

/** Numbers that several tensors may share. */
export interface Storage {
  key: string;
  dtype: TorchDtype;
  elements: number;
}

/** A view of a storage, not read yet. */
export class TorchTensor {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {}
}

/** A value that Python would make and nothing here needs. */
class Opaque {
  constructor(readonly what: string) {}
}

/** numpy.dtype, as far as a scalar needs it. */
class NumpyDtype {
  constructor(readonly code: string) {}
}

const storageTypes: Record<string, TorchDtype> = {
  DoubleStorage: 'f64',
  FloatStorage: 'f32',
  HalfStorage: 'f16',
  BFloat16Storage: 'bf16',
  LongStorage: 'i64',
  IntStorage: 'i32',
  ShortStorage: 'i16',
  CharStorage: 'i8',
  ByteStorage: 'u8',
  BoolStorage: 'bool',
};

const dtypes = new Set(
  'float64 double float32 float float16 half bfloat16 int64 long int32 int int16 short int8 uint8 bool'.split(
    ' ',
  ),
);

const counts = (value: unknown): number[] | undefined =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0) ? value : undefined;

/** A tensor whose every element lies in its storage. */
function rebuilt(file: string, args: readonly unknown[]): TorchTensor {
  const [storage, offset, size, strides] = args;
  const [shape, stride] = [counts(size), counts(strides)];
  const known = storage as Partial<Storage> | null;
  if (typeof known?.elements !== 'number' || !shape || !stride || shape.length !== stride.length)
    throw malformed(file, 'a tensor without storage, shape or stride');
  if (!Number.isSafeInteger(offset) || (offset as number) < 0)
    throw malformed(file, `a tensor at ${offset}`);
  const last = shape.reduce((at, n, i) => at + (n - 1) * stride[i]!, offset as number);
  if (!shape.includes(0) && last >= known.elements)
    throw malformed(
      file,
      `a tensor of shape (${shape.join(', ')}) reaches element ${last} of a storage of ${known.elements}`,
    );
  return new TorchTensor(known as Storage, offset as number, shape, stride);
}

const malformed = (file: string, what: string) =>
  new ProteaError('ERR_PROTEA_CHECKPOINT_FORMAT', `${file}: ${what}`, {
    hint: 'The file is damaged, or was changed on purpose.',
  });

/** A numpy scalar from its bytes. */
function numpyScalar([dtype, bytes]: readonly unknown[]): unknown {
  if (!(dtype instanceof NumpyDtype) || !(bytes instanceof Uint8Array))
    return new Opaque('numpy scalar');
  const data = Buffer.from(bytes);
  const readers: Record<string, () => number> = {
    f8: () => data.readDoubleLE(0),
    f4: () => data.readFloatLE(0),
    i8: () => Number(data.readBigInt64LE(0)),
    i4: () => data.readInt32LE(0),
    b1: () => data.readUInt8(0),
  };
  const size = Number(dtype.code.slice(1));
  return data.length === size && readers[dtype.code]
    ? readers[dtype.code]!()
    : new Opaque(dtype.code);
}

const asMap: Callable = (args) => {
  const pairs = Array.isArray(args[0]) ? args[0] : [];
  return new Map(pairs.filter(Array.isArray).map(([key, value]) => [key, value]));
};

const plain: Record<string, Callable> = {
  'collections.OrderedDict': asMap,
  'collections.defaultdict': () => new Map(),
  'collections.Counter': () => new Map(),
  'argparse.Namespace': () => new PickledObject(),
  'torch._utils._rebuild_parameter': (args) => args[0],
  'torch.Size': (args) => args[0] ?? [],
  'torch.device': (args) => args.join(':'),
  '_codecs.encode': (args) => Uint8Array.from(Buffer.from(String(args[0]), 'latin1')),
  'numpy.dtype': (args) => new NumpyDtype(String(args[0])),
  'numpy.core.multiarray.scalar': numpyScalar,
  'numpy._core.multiarray.scalar': numpyScalar,
  'pathlib.PosixPath': (args) => args.join('/'),
  'pathlib.WindowsPath': (args) => args.join('/'),
};
for (const module of ['builtins', '__builtin__'])
  Object.assign(plain, {
    [`${module}.set`]: (args: readonly unknown[]) => new Set(Array.isArray(args[0]) ? args[0] : []),
    [`${module}.list`]: (args: readonly unknown[]) => (Array.isArray(args[0]) ? args[0] : []),
    [`${module}.dict`]: asMap,
    [`${module}.bytearray`]: () => new Opaque('bytearray'),
  });
const allowed = new Map(Object.entries(plain));

/** The listed global of that name, or undefined. */
export function torchGlobal(file: string, module: string, name: string): unknown {
  if (module === 'torch._utils' && (name === '_rebuild_tensor_v2' || name === '_rebuild_tensor'))
    return (args: readonly unknown[]) => rebuilt(file, args);
  if (module === 'torch' || module === 'torch.storage') {
    if (Object.hasOwn(storageTypes, name)) return new StorageType(storageTypes[name]!);
    if (dtypes.has(name)) return new Opaque(`torch.${name}`);
  }
  return allowed.get(`${module}.${name}`);
}
