import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ProteaError } from '../error.js';
import { SafetensorsFile, safetensorsChunks, valuesOf } from '../formats/safetensors.js';
import { type Tensor, tensor } from '../tensor/index.js';
import type { LastingConfig } from './config.js';
import { writeAtomic } from './files.js';
import type { RunImages } from './images.js';

/** What is kept beside the tensors. */
export interface CheckpointMeta {
  format: 'protea-1';
  /** Steps done. */
  step: number;
  /** Steps taken by each parameter. */
  optimiserSteps: Record<string, number>;
  config: LastingConfig;
  /** Steps in a row whose loss was not finite. */
  nonFinite: number;
  /** The images of the run; checkpoints of early versions do not say. */
  images?: RunImages;
}

export interface Checkpoint {
  path: string;
  meta: CheckpointMeta;
  tensors: Map<string, Tensor>;
}

const fileName = (step: number) => `step-${String(step).padStart(8, '0')}.safetensors`;
const stepOf = (name: string) => Number(/^step-(\d+)\.safetensors$/.exec(name)?.[1] ?? Number.NaN);

/** Checkpoints of a folder by falling step. */
async function listed(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => !Number.isNaN(stepOf(name)));
  return names.sort((a, b) => stepOf(b) - stepOf(a));
}

/** A tensor that is read when it is written. */
const fetched = (value: Tensor) => ({
  dtype: value.dtype === 'f64' ? ('F64' as const) : ('F32' as const),
  shape: value.shape,
  fetch: async () => {
    const data = await value.read();
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  },
});

/**
 * Writes a checkpoint and removes all but the newest `keep`. Its bytes depend on the state alone: no
 * time, no path.
 */
export async function writeCheckpoint(
  folder: string,
  tensors: ReadonlyMap<string, Tensor>,
  meta: CheckpointMeta,
  keep: number,
): Promise<string> {
  const named = new Map([...tensors].map(([name, value]) => [name, fetched(value)]));
  const path = join(folder, fileName(meta.step));
  await writeAtomic(path, safetensorsChunks(named, { protea: JSON.stringify(meta) }));
  for (const name of (await listed(folder)).slice(keep)) await rm(join(folder, name));
  return path;
}

/** Removes every checkpoint of a folder, and nothing else. */
export async function removeCheckpoints(folder: string): Promise<void> {
  for (const name of await listed(folder)) await rm(join(folder, name));
}

/** @throws ERR_PROTEA_CHECKPOINT_FORMAT naming the file when it is damaged or of another program */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const file = await SafetensorsFile.open(path);
  try {
    const text = file.header.metadata.protea;
    if (!text)
      throw new ProteaError(
        'ERR_PROTEA_CHECKPOINT_FORMAT',
        `${path}: not a checkpoint of a Protea run: its metadata has no "protea" entry`,
        { hint: 'protea diagnose and protea features take the checkpoints of other codes.' },
      );
    const meta = JSON.parse(text) as CheckpointMeta;
    const tensors = new Map<string, Tensor>();
    for (const name of file.names) {
      const stored = await file.read(name);
      tensors.set(name, tensor(valuesOf(stored), stored.shape));
    }
    return { path, meta, tensors };
  } finally {
    await file.close();
  }
}

/**
 * The newest checkpoint that can be read whole; damaged ones are skipped and reported. Changes nothing,
 * so a run that is going on can be looked at.
 */
export async function newestCheckpoint(
  folder: string,
  onWarning: (message: string) => void,
): Promise<Checkpoint | undefined> {
  for (const name of await listed(folder)) {
    try {
      return await readCheckpoint(join(folder, name));
    } catch (error) {
      if (!(error instanceof ProteaError)) throw error;
      onWarning(`${error.message}; the one before it is used`);
    }
  }
  return undefined;
}
