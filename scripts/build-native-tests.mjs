// Builds the native tests:
//   cpu    CPU kernels alone
//   cpu-asan  the same under AddressSanitizer and UndefinedBehaviorSanitizer
//   plain  with the CUDA files, emulated
//   race   the same; kernels report every access to the race check of native/simt
//   asan   as plain, all under both sanitizers
//   tsan   as plain, all under ThreadSanitizer: the host's threads beside each other
//   cuda   compiled by nvcc, for a machine with a GPU
//   nvcc   kernels alone, for one architecture: does nvcc accept them? Nothing to run
//   nvcc-all  the same for all architectures, without the tests' kernels
// cpu, plain, race and cuda share the folder and the objects of an addon.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nvcc } from './nvcc.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sanitizers =
  '-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer';
const flags = (list) => ['-DCMAKE_BUILD_TYPE=None', `-DCMAKE_CXX_FLAGS=-O1 ${list}`];
const sanitized = flags(sanitizers);

const targets = {
  cpu: ['protea-native-test-cpu'],
  'cpu-asan': ['protea-native-test-cpu'],
  plain: ['protea-native-test-plain'],
  race: ['protea-native-test-race'],
  asan: ['protea-native-test-plain'],
  tsan: ['protea-native-test-plain'],
  cuda: ['protea-native-test'],
  nvcc: ['protea-kernels', 'protea-test-kernels'],
  'nvcc-all': ['protea-kernels'],
};
const cuda = ['-DPROTEA_CUDA=ON', `-DCMAKE_CUDA_COMPILER=${nvcc}`];
/** Modes with a folder of their own, and what it is configured with. */
const options = {
  'cpu-asan': sanitized,
  asan: sanitized,
  tsan: flags('-g1 -fsanitize=thread'),
  nvcc: [...cuda, '-DCMAKE_CUDA_ARCHITECTURES=80-real'],
  'nvcc-all': cuda,
};

function run(program, ...args) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return;
  console.error(stdout + stderr);
  throw new Error(`${program} ${args.join(' ')} failed`);
}

/** Builds one mode; returns the test program's path. */
export function build(mode) {
  const backend = mode === 'cuda' ? 'cuda' : 'cpu';
  const folder = join(root, 'build', options[mode] ? mode : backend);
  if (options[mode]) {
    run('cmake', '-S', root, '-B', folder, ...options[mode]);
    const jobs = String(availableParallelism());
    run('cmake', '--build', folder, '--parallel', jobs, '--target', ...targets[mode]);
  } else {
    const script = join(root, 'scripts', 'build-native.mjs');
    run(process.execPath, script, '--backend', backend, '--target', targets[mode][0]);
  }
  return join(folder, targets[mode][0]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.slice(2);
  for (const mode of asked.length ? asked : ['plain']) {
    if (!targets[mode])
      throw new Error(`mode must be one of ${Object.keys(targets).join(', ')}, got ${mode}`);
    console.log(build(mode));
  }
}
