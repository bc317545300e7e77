// Builds the native tests, which need no Node, into build/native-<mode>:
//   cpu    CPU kernels alone
//   cpu-asan  the same under AddressSanitizer and UndefinedBehaviorSanitizer
//   plain  with the CUDA files, emulated
//   asan   these under both sanitizers
//   race   kernels report every access to the race check of native/simt
//   cuda   compiled by nvcc, for a machine with a GPU
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sanitizers =
  '-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer';
const sanitized = ['-DCMAKE_BUILD_TYPE=None', `-DCMAKE_CXX_FLAGS=-O1 ${sanitizers}`];

const modes = {
  cpu: [],
  'cpu-asan': sanitized,
  plain: ['-DPROTEA_CUDA=simt'],
  asan: ['-DPROTEA_CUDA=simt', ...sanitized],
  race: ['-DPROTEA_CUDA=simt', '-DPROTEA_SIMT_KERNEL_OPTIONS=-O1;-fsanitize=thread'],
  cuda: ['-DPROTEA_CUDA=ON', `-DCMAKE_CUDA_COMPILER=${nvcc()}`],
};

function nvcc() {
  const usual = '/usr/local/cuda/bin/nvcc';
  return process.env.CUDACXX ?? (existsSync(usual) ? usual : 'nvcc');
}

/** The folder of a mode's build. */
export const folderOf = (mode) => join(root, 'build', `native-${mode}`);

/** Builds one mode; returns the test program's path. */
export function build(mode) {
  const folder = folderOf(mode);
  const run = (...args) => {
    const { status, stdout, stderr } = spawnSync('cmake', args, { encoding: 'utf8' });
    if (status === 0) return;
    console.error(stdout + stderr);
    throw new Error(`cmake ${args.join(' ')} failed`);
  };
  run('-S', root, '-B', folder, '-DPROTEA_NATIVE_TESTS=ON', ...modes[mode]);
  run(
    '--build',
    folder,
    '--parallel',
    String(availableParallelism()),
    '--target',
    'protea-native-test',
  );
  return join(folder, 'protea-native-test');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.slice(2);
  for (const mode of asked.length ? asked : ['plain']) {
    if (!modes[mode])
      throw new Error(`mode must be one of ${Object.keys(modes).join(', ')}, got ${mode}`);
    console.log(build(mode));
  }
}
