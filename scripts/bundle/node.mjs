// A Node for the machine there: the one that runs, stripped and compressed as far as xz goes.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

function run(program, ...args) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed ${error?.message ?? ''}`);
}

/** The path of node.xz, made once a version in `cache`: it takes minutes. */
export function compressedNode(cache) {
  const made = join(cache, `node-${process.version}-${process.arch}.xz`);
  if (existsSync(made)) return made;
  mkdirSync(cache, { recursive: true });
  const plain = join(cache, 'node');
  rmSync(plain, { force: true });
  copyFileSync(process.execPath, plain);
  run('strip', plain);
  run('xz', '-6e', '--threads=1', '--force', plain);
  renameSync(`${plain}.xz`, made);
  return made;
}
