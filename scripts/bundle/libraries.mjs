// Shared libraries that a machine may lack, or have in an older version.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Parts of the C library, which go together with its loader or not at all. */
const cLibrary = /^(ld-linux|libc\.|libm\.|libdl\.|librt\.|libpthread\.)/;

/** What the programs are linked with, into `to`; the C library apart, in `to`/glibc. */
export function copyLibraries(programs, to) {
  mkdirSync(join(to, 'glibc'), { recursive: true });
  for (const program of programs) {
    const { status, stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ldd ${program} failed`);
    for (const [, path] of stdout.matchAll(/(\/\S+) \(0x/g)) {
      const name = basename(path);
      copyFileSync(realpathSync(path), join(to, cLibrary.test(name) ? 'glibc' : '', name));
    }
  }
}
