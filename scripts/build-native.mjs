// Builds the addon into build/<backend>/Release with cmake-js: `node scripts/build-native.mjs`.
// --backend cpu (default), cuda (nvcc), or simt (CUDA kernels emulated on the CPU, for tests).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const backend = process.argv.includes('--backend')
  ? process.argv[process.argv.indexOf('--backend') + 1]
  : 'cpu';
const manifest = createRequire(import.meta.url).resolve('cmake-js/package.json');
const cmakeJs = join(dirname(manifest), 'bin', 'cmake-js');

/** CUDACXX, or nvcc on the path or in the toolkit's usual folder. */
function nvcc() {
  const usual = '/usr/local/cuda/bin/nvcc';
  return process.env.CUDACXX ?? (existsSync(usual) ? usual : 'nvcc');
}

const options = [
  'compile',
  '--directory',
  root,
  '-O',
  join(root, 'build', backend),
  '--parallel',
  String(availableParallelism()),
];
const cuda = { cpu: 'OFF', cuda: 'ON', simt: 'simt' }[backend];
if (!cuda) {
  console.error(`--backend must be cpu, cuda or simt, got ${backend}`);
  process.exit(2);
}
options.push(`--CDPROTEA_CUDA=${cuda}`);
if (backend === 'cuda') options.push(`--CDCMAKE_CUDA_COMPILER=${nvcc()}`);
for (const [name, value] of Object.entries(process.env)) {
  if (name.startsWith('PROTEA_CMAKE_OPTION_')) options.push(`--CD${name.slice(20)}=${value}`);
}

const { status } = spawnSync(process.execPath, [cmakeJs, ...options], { stdio: 'inherit' });
process.exit(status ?? 1);
