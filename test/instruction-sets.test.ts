// The objects compiled for one instruction set must not define weak symbols: the linker would keep
// one copy of such a function for all sets, and it might need instructions the machine lacks.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../lib/native.js';

const folder = join(packageRoot(), 'build', 'cpu', 'CMakeFiles');
const objects = existsSync(folder)
  ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /^protea-simd-.*\.o$/.test(name),
    )
  : [];
const usable = objects.length > 0 && !spawnSync('nm', ['--version']).error;

(usable ? test : test.skip)('kernels of one instruction set share no code with the others', (t) => {
  for (const object of objects) {
    const { stdout } = spawnSync('nm', ['--defined-only', join(folder, object)], {
      encoding: 'utf8',
    });
    const weak = stdout.split('\n').filter((line) => / [WVu] /.test(line));
    t.deepEqual(weak, [], object);
  }
});
