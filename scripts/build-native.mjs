// Builds the addon into build/<backend>/Release with cmake-js: `node scripts/build-native.mjs`.
import { spawnSync } from 'node:child_process';
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

const options = [
  'compile',
  '--directory',
  root,
  '-O',
  join(root, 'build', backend),
  '--parallel',
  String(availableParallelism()),
];
if (backend === 'cuda') options.push('--CDPROTEA_CUDA=ON');
for (const [name, value] of Object.entries(process.env)) {
  if (name.startsWith('PROTEA_CMAKE_OPTION_')) options.push(`--CD${name.slice(20)}=${value}`);
}

const { status } = spawnSync(process.execPath, [cmakeJs, ...options], { stdio: 'inherit' });
process.exit(status ?? 1);
