import { NpyFile } from './npy.js';
import { damaged, openToRead } from './read-at.js';
import { SafetensorsFile, valuesOf } from './safetensors.js';
import { ShardedSafetensors } from './sharded-safetensors.js';
import { TorchCheckpoint } from './torch-checkpoint.js';

/** A file of named tensors, open; tensors are read when asked for. */
export interface TensorFile {
  readonly path: string;
  readonly format: 'safetensors' | 'safetensors-index' | 'torch' | 'npy';
  readonly names: readonly string[];
  shapeOf(name: string): readonly number[];
  read(name: string): Promise<{ values: ArrayLike<number>; shape: readonly number[] }>;
  /** Equal for names of the same bytes, where the format can have several. */
  identityOf?(name: string): string;
  /** Plain values beside the tensors: dicts and objects as Maps; metadata of safetensors as text. */
  readonly extra: unknown;
  close(): Promise<void>;
}

type Format = TensorFile['format'];

/** Beginnings of files that are no tensors, with what they are. */
const others: [string, string][] = [
  ['\x1f\x8b', 'gzip: unpack it first'],
  ['\x89HDF', 'HDF5'],
  ['ustar', 'tar'],
  ['%PDF', 'PDF'],
  ['\x89PNG', 'a picture'],
  ['\xff\xd8\xff', 'a picture'],
];

/**
 * What a file is, by its first bytes.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT when it is nothing known
 */
async function formatOf(path: string): Promise<Format> {
  const handle = await openToRead(path);
  let start: string;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(9), 0, 9, 0);
    start = buffer.toString('latin1', 0, bytesRead);
  } finally {
    await handle.close();
  }
  if (start.startsWith('\x93NUMPY')) return 'npy';
  if (start.startsWith('PK\x03\x04') || start.startsWith('\x80')) return 'torch';
  if (start[8] === '{') return 'safetensors';
  if (/^\s*\{/.test(start)) return 'safetensors-index';
  const other = others.find(([begin]) => start.startsWith(begin))?.[1];
  throw damaged(
    path,
    start ? `is no file of tensors${other ? ` but ${other}` : ''}` : 'is empty',
    'Known by content: checkpoints of torch.save, safetensors and its index files, npy.',
  );
}

const openers: Record<Format, (path: string) => Promise<TensorFile>> = {
  async safetensors(path) {
    const file = await SafetensorsFile.open(path);
    return {
      path,
      format: 'safetensors',
      names: file.names,
      shapeOf: (name) => file.header.tensors.get(name)!.shape,
      read: async (name) => realOf(await file.read(name)),
      extra: file.header.metadata,
      close: () => file.close(),
    };
  },
  async 'safetensors-index'(path) {
    const file = await ShardedSafetensors.open(path);
    return {
      path,
      format: 'safetensors-index',
      names: file.names,
      shapeOf: (name) => file.shapeOf(name),
      read: async (name) => realOf(await file.read(name)),
      extra: undefined,
      close: () => file.close(),
    };
  },
  async torch(path) {
    const file = await TorchCheckpoint.open(path);
    return {
      path,
      format: 'torch',
      names: file.names,
      shapeOf: (name) => file.tensors.get(name)!.shape,
      read: (name) => file.read(name),
      identityOf(name) {
        const { storage, offset, shape, stride } = file.tensors.get(name)!;
        return [storage.key, offset, shape, stride].join(' ');
      },
      extra: file.value,
      close: () => file.close(),
    };
  },
  async npy(path) {
    const file = await NpyFile.open(path);
    return {
      path,
      format: 'npy',
      names: ['array'],
      shapeOf: () => file.shape,
      read: () => file.read(),
      extra: undefined,
      close: () => file.close(),
    };
  },
};

const realOf = (tensor: Awaited<ReturnType<SafetensorsFile['read']>>) => ({
  values: valuesOf(tensor),
  shape: tensor.shape,
});

/**
 * Opens a checkpoint of torch.save (zip or legacy), safetensors, an index of safetensors files, or npy,
 * told apart by content. Nothing in it is run, and tensors are read when asked for.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT or ERR_PROTEA_PICKLE_FORBIDDEN, naming the file and the reason
 */
export const openTensorFile = async (path: string): Promise<TensorFile> =>
  openers[await formatOf(path)](path);
