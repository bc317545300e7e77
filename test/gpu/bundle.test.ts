// What goes to a GPU machine without Node.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../lib/native.js';

test('gpu:bundle packs all that a GPU machine builds, tests and times', (t) => {
  const root = packageRoot();
  const script = join(root, 'scripts', 'gpu-bundle.mjs');
  t.is(spawnSync(process.execPath, [script], { encoding: 'utf8' }).status, 0);
  const archive = join(root, 'build', 'protea-gpu.tar.gz');
  const { stdout } = spawnSync('tar', ['tvzf', archive], { encoding: 'utf8' });
  for (const file of [
    'CMakeLists.txt',
    'native/cuda/nvcc.cmake',
    'native/ops/koleo.cu',
    'native/test/gpu/timing.cu',
    'bench/gpu/bench.py',
  ])
    t.regex(stdout, new RegExp(` protea-gpu/${file}\n`), file);
  t.regex(stdout, /^-rwx.* protea-gpu\/run$/m);
});
