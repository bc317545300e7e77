import { readFileSync } from 'node:fs';
import { link, rename, rm, writeFile } from 'node:fs/promises';
import { ProteaError } from '../error.js';

/** When a process began, in the kernel's ticks, where the system tells: a number of its own is used again. */
function beginningOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const contentOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

/** The process that a lock names; undefined when it is gone, or another one has its number. */
function holder(content: string): number | undefined {
  const [number, beginning = ''] = content.split(' ');
  const pid = Number(number);
  if (!(pid > 0) || pid === process.pid || !isAlive(pid)) return undefined;
  return !beginning || beginning === beginningOf(pid) ? pid : undefined;
}

const locked = (path: string, pid: number) =>
  new ProteaError('ERR_PROTEA_RUN_LOCKED', `${path}: process ${pid} is training here`, {
    hint: `Wait for it, stop it, or give another --out. If no training runs there, remove ${path}.`,
  });

/** Puts a lock whose process is gone aside, but not one that another process has put in its place. */
async function putAside(path: string, stale: string): Promise<void> {
  const aside = `${path}.stale-${process.pid}`;
  await rename(path, aside).catch(() => {});
  const taken = contentOf(aside);
  if (taken !== '' && taken !== stale) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

const withoutLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** Makes the file with its content at once; on disks that have no links, one after the other. */
async function make(path: string, content: string): Promise<void> {
  const own = `${path}.own-${process.pid}`;
  try {
    await writeFile(own, content);
    await link(own, path);
  } catch (error) {
    if (!withoutLinks.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await writeFile(path, content, { flag: 'wx' });
  } finally {
    await rm(own, { force: true });
  }
}

/**
 * Takes the lock of a run, so that two processes never write to it: the file comes into being with its
 * content. A lock whose process is gone is taken over. @throws ERR_PROTEA_RUN_LOCKED
 */
export async function takeLock(path: string): Promise<() => Promise<void>> {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      await make(path, `${process.pid} ${beginningOf(process.pid)}`);
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const content = contentOf(path);
    const pid = holder(content);
    if (pid !== undefined) throw locked(path, pid);
    await putAside(path, content);
  }
  throw new ProteaError('ERR_PROTEA_RUN_LOCKED', `${path}: another process took the lock`);
}
