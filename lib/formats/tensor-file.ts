import { open } from 'node:fs/promises';
import { SafetensorsFile, valuesOf } from './safetensors.js';
import { TorchCheckpoint } from './torch-checkpoint.js';

/** A file of named tensors, open; tensors are read when asked for. */
export interface TensorFile {
  readonly path: string;
  readonly format: 'safetensors' | 'torch';
  readonly names: readonly string[];
  shapeOf(name: string): readonly number[];
  read(name: string): Promise<{ values: ArrayLike<number>; shape: readonly number[] }>;
  close(): Promise<void>;
}

/** Whether a file begins like safetensors: a length, then a JSON object. */
async function isSafetensors(path: string): Promise<boolean> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(9), 0, 9, 0);
    return bytesRead === 9 && buffer[8] === 0x7b;
  } finally {
    await handle.close();
  }
}

async function openSafetensors(path: string): Promise<TensorFile> {
  const file = await SafetensorsFile.open(path);
  return {
    path,
    format: 'safetensors',
    names: file.names,
    shapeOf: (name) => file.header.tensors.get(name)!.shape,
    async read(name) {
      const tensor = await file.read(name);
      return { values: valuesOf(tensor), shape: tensor.shape };
    },
    close: () => file.close(),
  };
}

async function openTorch(path: string): Promise<TensorFile> {
  const file = await TorchCheckpoint.open(path);
  return {
    path,
    format: 'torch',
    names: file.names,
    shapeOf: (name) => file.tensors.get(name)!.shape,
    read: (name) => file.read(name),
    close: () => file.close(),
  };
}

/**
 * Opens safetensors or a checkpoint of torch.save, told apart by content.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT or ERR_PROTEA_PICKLE_FORBIDDEN, naming the file and the reason
 */
export const openTensorFile = async (path: string): Promise<TensorFile> =>
  (await isSafetensors(path)) ? openSafetensors(path) : openTorch(path);
