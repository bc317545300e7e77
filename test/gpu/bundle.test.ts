// What goes to an offline machine with a GPU, tried with whatever addon is here.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { candidates, packageRoot } from '../../lib/native.js';
import { temporaryFolder } from '../support/folder.js';

/** The backend whose addon is there: bundles may be made of any. */
const backend = () => {
  const path = candidates().find(existsSync)!;
  return ['cuda', 'simt', 'cpu'].find((name) => path.includes(join('build', name)))!;
};

test('gpu:bundle packs all that runs there: Node, addon and tests, from that folder alone', (t) => {
  t.timeout(600_000);
  const scratch = temporaryFolder(t);
  const folder = join(scratch, 'protea-gpu');
  const script = join(packageRoot(), 'scripts', 'gpu-bundle.mjs');
  const packed = spawnSync(process.execPath, [script, '--backend', backend(), '--folder', folder], {
    encoding: 'utf8',
  });
  t.is(packed.status, 0, packed.stderr);
  for (const file of ['run', 'bin/native', 'bench/gpu/bench.py', 'lib/libstdc++.so.6'])
    t.true(existsSync(join(folder, file)), file);
  for (const file of ['CMakeLists.txt', 'native/cuda/nvcc.cmake', 'node-api/node_api.h'])
    t.true(existsSync(join(folder, 'source', file)), file);

  const home = join(scratch, 'home');
  mkdirSync(home);
  const env = { HOME: home, PATH: home, PROTEA_BACKEND: 'cuda' };
  const there = (...args: string[]) =>
    spawnSync(join(folder, 'bin', 'node'), args, { cwd: folder, env, encoding: 'utf8' });
  for (const main of ['bench/gpu/loads.mjs', 'dist/lib/train/index.js']) {
    const loaded = there(main);
    t.is(loaded.status, 0, loaded.stderr);
  }
  const tested = there(
    'node_modules/ava/entrypoints/cli.mjs',
    '--tap',
    '--match=cpu is always there*',
    'dist/test/gpu/device.test.js',
  );
  t.regex(tested.stdout, /^ok 1 - cpu is always there/m, tested.stdout + tested.stderr);
});
