import { readFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { ProteaError } from '../error.js';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Who holds the lock; undefined when the holder is gone or was never written down. */
function holder(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return pid > 0 && pid !== process.pid && isAlive(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Takes the lock of a run, so that two processes never write to it. A lock whose process is gone is
 * taken over. @throws ERR_PROTEA_RUN_LOCKED
 */
export async function takeLock(path: string): Promise<() => Promise<void>> {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const handle = await open(path, 'wx');
      await handle.writeFile(String(process.pid));
      await handle.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const pid = holder(path);
      if (pid !== undefined)
        throw new ProteaError('ERR_PROTEA_RUN_LOCKED', `${path}: process ${pid} is training here`, {
          hint: 'Wait for it, stop it, or give another --out.',
        });
      await rm(path, { force: true });
    }
  }
  throw new ProteaError('ERR_PROTEA_RUN_LOCKED', `${path}: another process took the lock`);
}
