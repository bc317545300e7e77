// Builds the addon into build/<backend>/Release with cmake-js: `node scripts/build-native.mjs`.
// --backend cpu (default), cuda (nvcc), or simt (CUDA kernels emulated on the CPU, for tests: from the
// objects of the CPU addon, in its folder). --target NAME builds something else there.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nvcc } from './nvcc.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const manifest = createRequire(import.meta.url).resolve('cmake-js/package.json');
const cmakeJs = join(dirname(manifest), 'bin', 'cmake-js');

function argument(name, otherwise) {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
}

const backend = argument('--backend', 'cpu');
if (!['cpu', 'cuda', 'simt'].includes(backend)) {
  console.error(`--backend must be cpu, cuda or simt, got ${backend}`);
  process.exit(2);
}
const options = [
  'compile',
  '--directory',
  root,
  '-O',
  join(root, 'build', backend === 'cuda' ? 'cuda' : 'cpu'),
  '--parallel',
  String(availableParallelism()),
  '--target',
  argument('--target', backend === 'simt' ? 'protea-simt' : 'protea'),
];
if (backend === 'cuda') options.push('--CDPROTEA_CUDA=ON', `--CDCMAKE_CUDA_COMPILER=${nvcc}`);
for (const [name, value] of Object.entries(process.env)) {
  if (name.startsWith('PROTEA_CMAKE_OPTION_')) options.push(`--CD${name.slice(20)}=${value}`);
}

const { status } = spawnSync(process.execPath, [cmakeJs, ...options], { stdio: 'inherit' });
process.exit(status ?? 1);
