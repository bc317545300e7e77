// `npm run gpu:bundle` writes build/protea-gpu.tar.gz: sources, tests and a PyTorch peer for a machine
// that has a GPU, nvcc, cmake and PyTorch but no Node and no network. There: tar xzf, protea-gpu/run.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'build', 'protea-gpu');
const archive = `${folder}.tar.gz`;

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const part of ['CMakeLists.txt', 'LICENSE', 'native', 'bench/gpu'])
  cpSync(join(root, part), join(folder, part), { recursive: true });
cpSync(join(root, 'bench', 'gpu', 'run'), join(folder, 'run'));
const { status } = spawnSync('tar', ['czf', archive, '-C', dirname(folder), 'protea-gpu'], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(1);
console.log(`${archive} (${Math.ceil(statSync(archive).size / 1024)} KiB)`);
