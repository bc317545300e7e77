// Files that are whole or not there: written beside their place, flushed, then renamed.
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ProteaError } from '../error.js';

const temporary = /\.tmp-\d+$/;

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

type Content = Uint8Array | string | AsyncIterable<Uint8Array>;

async function writeFlushed(path: string, content: Content): Promise<void> {
  const handle = await open(path, 'w');
  try {
    if (typeof content === 'string' || content instanceof Uint8Array)
      await handle.writeFile(content);
    else for await (const chunk of content) await handle.writeFile(chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const reasons: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EFBIG: 'files may not grow that large here',
  EACCES: 'it may not be written',
  EEXIST: 'a file of that name is in the way',
  ENOTDIR: 'a file is in the way of its folder',
  EROFS: 'it may not be written',
};

/** An error of the system as one of ours; others pass. */
function unwritten(path: string, error: unknown): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (!code || !syscall) return error;
  return new ProteaError(
    'ERR_PROTEA_WRITE',
    `${path} was not written: ${reasons[code] ?? message}`,
    { hint: 'Make room, or name another place. Nothing half-written is left.', cause: error },
  );
}

/**
 * What `work` gives, which writes to `path`.
 * @throws ERR_PROTEA_WRITE in place of the system's errors
 */
export async function written<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unwritten(path, error);
  }
}

/**
 * Writes a file so that a crash at any moment leaves the old one or the new one. Its folder is made.
 * @throws ERR_PROTEA_WRITE when it cannot be written, as on a full disk; nothing of it is left then
 */
export async function writeAtomic(path: string, content: Content): Promise<void> {
  const beside = join(dirname(path), `${basename(path)}.tmp-${process.pid}`);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFlushed(beside, content);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {}); // the first error is the one to tell
    throw unwritten(path, error);
  }
  await flushFolder(dirname(path));
}

/** Removes what an interrupted `writeAtomic` left in a folder. */
export async function sweepTemporary(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (temporary.test(name)) await rm(join(folder, name), { force: true });
}
