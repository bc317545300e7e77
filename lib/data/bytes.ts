import { createReadStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { createGunzip, gunzip } from 'node:zlib';
import { ProteaError } from '../error.js';

const isGzip = (path: string) => /\.(gz|tgz)$/.test(path);

/** A file's bytes. @throws ERR_PROTEA_DATA naming the file */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** A file's bytes, unpacked when its name ends in .gz. @throws ERR_PROTEA_DATA naming the file */
export async function readUnpacked(path: string): Promise<Uint8Array> {
  const bytes = await readBytes(path);
  try {
    return isGzip(path) ? await promisify(gunzip)(bytes) : bytes;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** As `readUnpacked`, as a stream. */
export function streamUnpacked(path: string): Readable {
  if (!existsSync(path)) throw new ProteaError('ERR_PROTEA_DATA', `${path}: no such file`);
  const file = createReadStream(path);
  if (!isGzip(path)) return file;
  const unpacked = createGunzip();
  file.on('error', (error) => unpacked.destroy(error));
  return file.pipe(unpacked);
}

export function unreadable(path: string, cause: unknown): ProteaError {
  return new ProteaError('ERR_PROTEA_DATA', `${path}: ${(cause as Error).message}`, { cause });
}
