// What a PyTorch checkpoint may call: the makers of tensors, storages and plain values. Nothing else.
import { ProteaError } from '../error.js';
import { dtypeBytes, type StoredDtype } from './dtypes.js';
import { type Callable, PickledObject } from './pickle.js';

/** The dtype behind torch.FloatStorage and its like; null: bytes, whose tensors say what they are. */
export class StorageType {
  constructor(readonly dtype: StoredDtype | null) {}
}

/** Numbers that several tensors may share. */
export interface Storage {
  key: string;
  dtype: StoredDtype | null;
  /** Of the dtype, or bytes. */
  elements: number;
}

export const storageBytes = ({ dtype, elements }: Pick<Storage, 'dtype' | 'elements'>): number =>
  elements * (dtype ? dtypeBytes[dtype] : 1);

/** A view of a storage, not read yet. */
export class TorchTensor {
  constructor(
    readonly storage: Storage,
    readonly dtype: StoredDtype,
    /** In elements, as are the strides. */
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {}
}

/** A value that Python would make and nothing here needs. */
class Opaque {
  constructor(readonly what: string) {}
}

/** torch.float32 and its like. */
class TorchType extends Opaque {
  constructor(
    name: string,
    readonly dtype: StoredDtype | undefined,
  ) {
    super(`torch.${name}`);
  }
}

/** numpy.dtype, as far as a scalar needs it. */
class NumpyDtype {
  constructor(readonly code: string) {}
}

const storageTypes: Record<string, StoredDtype | null> = {
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
  ComplexFloatStorage: 'c64',
  ComplexDoubleStorage: 'c128',
  QInt8Storage: 'i8',
  QUInt8Storage: 'u8',
  QInt32Storage: 'i32',
  UntypedStorage: null,
};

const dtypes: Record<string, StoredDtype | undefined> = {
  float64: 'f64',
  double: 'f64',
  float32: 'f32',
  float: 'f32',
  float16: 'f16',
  half: 'f16',
  bfloat16: 'bf16',
  float8_e4m3fn: 'f8_e4m3',
  float8_e5m2: 'f8_e5m2',
  float8_e4m3fnuz: 'f8_e4m3fnuz',
  float8_e5m2fnuz: 'f8_e5m2fnuz',
  float8_e8m0fnu: 'f8_e8m0',
  int64: 'i64',
  long: 'i64',
  int32: 'i32',
  int: 'i32',
  int16: 'i16',
  short: 'i16',
  int8: 'i8',
  uint64: 'u64',
  uint32: 'u32',
  uint16: 'u16',
  uint8: 'u8',
  bool: 'bool',
  complex32: 'c32',
  chalf: 'c32',
  complex64: 'c64',
  cfloat: 'c64',
  complex128: 'c128',
  cdouble: 'c128',
  quint8: undefined,
  qint8: undefined,
  qint32: undefined,
};

const counts = (value: unknown): number[] | undefined =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0) ? value : undefined;

const maxRank = 32;

/**
 * A tensor whose every element lies in its storage: (storage, offset, size, strides, ...), and with
 * `typed` the dtype as the seventh argument.
 */
function rebuilt(file: string, args: readonly unknown[], typed: boolean): TorchTensor {
  const [storage, offset, size, strides] = args;
  const [shape, stride] = [counts(size), counts(strides)];
  const known = storage as Partial<Storage> | null;
  if (typeof known?.elements !== 'number' || !shape || !stride || shape.length !== stride.length)
    throw malformed(file, 'a tensor without storage, shape or stride');
  if (shape.length > maxRank) throw malformed(file, `a tensor of ${shape.length} dimensions`);
  if (!Number.isSafeInteger(offset) || (offset as number) < 0)
    throw malformed(file, 'a tensor without a valid offset');
  const asked = typed && args[6] instanceof TorchType ? args[6].dtype : undefined;
  const dtype = typed ? asked : known.dtype;
  if (!dtype) throw malformed(file, 'a tensor without a known dtype');
  const last = shape.reduce((at, n, i) => at + (n - 1) * stride[i]!, offset as number);
  const held = storageBytes(known as Storage);
  if (!shape.includes(0) && !((last + 1) * dtypeBytes[dtype] <= held))
    throw malformed(
      file,
      `a tensor of shape (${shape.join(', ')}) reaches element ${last} of a storage of ${held / dtypeBytes[dtype]}`,
    );
  return new TorchTensor(known as Storage, dtype, offset as number, shape, stride);
}

const malformed = (file: string, what: string) =>
  new ProteaError('ERR_PROTEA_CHECKPOINT_FORMAT', `${file}: ${what}`, {
    hint: 'The file is damaged, or was changed on purpose.',
  });

/** A numpy scalar from its bytes. */
function numpyScalar([dtype, bytes]: readonly unknown[]): unknown {
  if (!(dtype instanceof NumpyDtype) || !(bytes instanceof Uint8Array))
    return new Opaque('numpy scalar');
  const data = Buffer.from(bytes.subarray(0, 16));
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

/** Text and numbers alone: nothing that is nested is turned into text. */
const word = (value: unknown) =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';

const opaque =
  (what: string): Callable =>
  () =>
    new Opaque(what);

/** A tensor of a subclass: the function that makes it, and its arguments. */
const fromType: Callable = ([make, , args]) =>
  typeof make === 'function' && Array.isArray(args) ? make(args) : new Opaque('tensor');

const asMap: Callable = (args) => {
  const pairs = Array.isArray(args[0]) ? args[0] : [];
  return new Map(pairs.filter(Array.isArray).map((pair): [unknown, unknown] => [pair[0], pair[1]]));
};

const plain: Record<string, Callable> = {
  'collections.OrderedDict': asMap,
  'collections.defaultdict': () => new Map(),
  'collections.Counter': () => new Map(),
  'argparse.Namespace': () => new PickledObject(),
  'torch._utils._rebuild_parameter': (args) => args[0],
  'torch._utils._rebuild_parameter_with_state': (args) => args[0],
  'torch._tensor._rebuild_from_type_v2': fromType,
  'torch._utils._rebuild_qtensor': opaque('quantised tensor'),
  'torch._utils._rebuild_sparse_tensor': opaque('sparse tensor'),
  'torch._utils._rebuild_meta_tensor_no_storage': opaque('tensor without values'),
  'torch.serialization._get_layout': opaque('layout'),
  'torch.Tensor': opaque('tensor'),
  'torch.nn.parameter.Parameter': opaque('parameter'),
  'torch.nn.parameter.Buffer': opaque('buffer'),
  'torch.Size': (args) => args[0] ?? [],
  'torch.device': (args) => args.map(word).join(':'),
  '_codecs.encode': (args) => Uint8Array.from(Buffer.from(word(args[0]), 'latin1')),
  'numpy.dtype': (args) => new NumpyDtype(word(args[0])),
  'numpy.ndarray': opaque('numpy array'),
  'numpy.core.multiarray._reconstruct': opaque('numpy array'),
  'numpy._core.multiarray._reconstruct': opaque('numpy array'),
  'numpy.core.multiarray.scalar': numpyScalar,
  'numpy._core.multiarray.scalar': numpyScalar,
  'pathlib.PosixPath': (args) => args.map(word).join('/'),
  'pathlib.WindowsPath': (args) => args.map(word).join('/'),
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
    return (args: readonly unknown[]) => rebuilt(file, args, false);
  if (module === 'torch._utils' && name === '_rebuild_tensor_v3')
    return (args: readonly unknown[]) => rebuilt(file, args, true);
  if (module === 'torch' || module === 'torch.storage') {
    if (Object.hasOwn(storageTypes, name)) return new StorageType(storageTypes[name]!);
    if (Object.hasOwn(dtypes, name)) return new TorchType(name, dtypes[name]);
  }
  return allowed.get(`${module}.${name}`);
}
