import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { createGunzip, gunzip } from 'node:zlib';
import { ProteaError } from '../error.js';

/** By content: names are often wrong. */
const isGzip = (bytes: Uint8Array) => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** A file's bytes. @throws ERR_PROTEA_DATA naming the file */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** A file's bytes, unpacked when they are gzipped. @throws ERR_PROTEA_DATA naming the file */
export async function readUnpacked(path: string): Promise<Uint8Array> {
  const bytes = await readBytes(path);
  try {
    return isGzip(bytes) ? await promisify(gunzip)(bytes) : bytes;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** The first two bytes of a file, fewer where there are fewer. */
async function firstBytes(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(2), 0, 2, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** As `readUnpacked`, as a stream. */
export async function streamUnpacked(path: string): Promise<Readable> {
  const first = await firstBytes(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const file = createReadStream(path);
  if (!isGzip(first)) return file;
  const unpacked = createGunzip();
  file.on('error', (error) => unpacked.destroy(error));
  return file.pipe(unpacked);
}

export function unreadable(path: string, cause: unknown): ProteaError {
  return new ProteaError('ERR_PROTEA_DATA', `${path}: ${(cause as Error).message}`, { cause });
}

/** What is thrown where nothing is left, with the first reasons why things were left out. */
export const noImages = (name: string, warnings: readonly string[], hint: string) =>
  new ProteaError(
    'ERR_PROTEA_DATA',
    [`${name} holds no images`, ...warnings.slice(0, 3)].join('; '),
    { hint },
  );
