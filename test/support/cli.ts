import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../lib/native.js';

export const main = join(packageRoot(), 'dist', 'lib', 'cli', 'main.js');

/** Runs the command line to its end. */
export const protea = (...args: string[]) =>
  spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', timeout: 300_000 });
