import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TorchCheckpoint } from '../../../lib/formats/torch-checkpoint.js';
import type { GoldenCase, Handler } from '../case.js';

const fileOf = (c: GoldenCase) => join(c.folder, c.entry.files[0].file);

/** Maps as objects, tensors left out: what the index says of a checkpoint's plain values. */
function plain(value: unknown): unknown {
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

export const checkpoint: Handler = async (c) => {
  const file = await TorchCheckpoint.open(fileOf(c));
  const tensors: Record<string, ArrayLike<number>> = {};
  for (const name of Object.keys(c.entry.tensors)) tensors[name] = (await file.read(name)).values;
  await file.close();
  const top = file.value as Map<string, Map<string, unknown>>;
  const found = {
    ...(plain(top) as Record<string, unknown>),
    top_level_keys: [...top.keys()],
    student_keys: [...top.get('student')!.keys()],
    teacher_keys: [...top.get('teacher')!.keys()],
    optimizer_param_groups: plain(top.get('optimizer')!.get('param_groups')),
  };
  return { tensors, expected: found };
};

export const dtypes: Handler = async (c) => {
  const file = await TorchCheckpoint.open(fileOf(c));
  const tensors: Record<string, ArrayLike<number>> = {};
  for (const name of Object.keys(c.entry.tensors))
    tensors[name] = (await file.read(name.replace(/^out\./, ''))).values;
  await file.close();
  return { tensors };
};

async function readAll(path: string): Promise<void> {
  const file = await TorchCheckpoint.open(path);
  try {
    for (const name of file.names) await file.read(name);
  } finally {
    await file.close();
  }
}

/** Refused with a type, and nothing of it was run. */
export const hostile: Handler = async (c) => {
  const marker = c.entry.expected.must_not_exist_after_reading;
  const code = await readAll(fileOf(c)).catch((error) => error.code);
  const refused = code === 'ERR_PROTEA_CHECKPOINT_FORMAT' || code === 'ERR_PROTEA_PICKLE_FORBIDDEN';
  return {
    expected: {
      error: refused,
      must_not_exist_after_reading: existsSync(marker) ? undefined : marker,
    },
  };
};
