import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ProteaError } from '../error.js';
import { newestCheckpoint } from '../train/index.js';

/**
 * The checkpoint a user means: a file as it is, or the newest whole one of a run's folder.
 * @throws ERR_PROTEA_DATA when there is none
 */
export async function checkpointPath(
  path: string,
  onWarning: (message: string) => void,
): Promise<string> {
  if (!existsSync(path))
    throw new ProteaError('ERR_PROTEA_DATA', `${path}: no such file or folder`);
  if (!statSync(path).isDirectory()) return path;
  const inside = join(path, 'checkpoints');
  const found = await newestCheckpoint(existsSync(inside) ? inside : path, onWarning);
  if (!found) throw new ProteaError('ERR_PROTEA_DATA', `${path} holds no checkpoint`);
  for (const value of found.tensors.values()) value.dispose();
  return found.path;
}
