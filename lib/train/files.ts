// Files that are whole or not there: written beside their place, flushed, then renamed.
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const temporary = /\.tmp-\d+$/;

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes a file so that a crash at any moment leaves the old one or the new one. */
export async function writeAtomic(
  path: string,
  content: Uint8Array | string | AsyncIterable<Uint8Array>,
): Promise<void> {
  const beside = join(dirname(path), `${basename(path)}.tmp-${process.pid}`);
  const handle = await open(beside, 'w');
  try {
    if (typeof content === 'string' || content instanceof Uint8Array)
      await handle.writeFile(content);
    else for await (const chunk of content) await handle.writeFile(chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(beside, path);
  await flushFolder(dirname(path));
}

/** Removes what an interrupted `writeAtomic` left in a folder. */
export async function sweepTemporary(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (temporary.test(name)) await rm(join(folder, name), { force: true });
}
