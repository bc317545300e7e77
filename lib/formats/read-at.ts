import { type FileHandle, open } from 'node:fs/promises';
import { ProteaError } from '../error.js';

/** A damaged file, by name and reason. */
export const damaged = (file: string, what: string, hint = 'The file is damaged or cut short.') =>
  new ProteaError('ERR_PROTEA_CHECKPOINT_FORMAT', `${file}: ${what}`, { hint });

const unreadable = (path: string, why: string, cause?: unknown) =>
  new ProteaError('ERR_PROTEA_DATA', `${path}: ${why}`, { cause });

/**
 * A file to read.
 * @throws ERR_PROTEA_DATA when there is none, it may not be read, or it is a folder
 */
export async function openToRead(path: string): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw unreadable(
      path,
      code === 'ENOENT' ? 'no such file' : `cannot be read: ${message}`,
      cause,
    );
  }
  if (!(await handle.stat()).isDirectory()) return handle;
  await handle.close();
  throw unreadable(path, 'is a folder: give a file in it');
}

/**
 * Exactly `length` bytes at `begin`.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT when the file ends before, ahead of taking any memory
 */
export async function bytesAt(
  handle: FileHandle,
  file: string,
  begin: number,
  length: number,
  size = Number.POSITIVE_INFINITY,
): Promise<Buffer> {
  if (!(begin >= 0 && length >= 0 && begin + length <= size))
    throw damaged(file, `ends at byte ${size}, before byte ${begin + length}`);
  const buffer = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(buffer, done, length - done, begin + done);
    if (!bytesRead) throw damaged(file, `ends before byte ${begin + length}`);
    done += bytesRead;
  }
  return buffer;
}
