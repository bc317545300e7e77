// clang-format over native/: rewrites, or with --check only tells. Says so when it is not installed.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(dirname(fileURLToPath(import.meta.url))), 'native');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(h|cpp|cu|cuh)$/.test(name))
  .map((name) => join(root, name));
const mode = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i'];
const tool = ['clang-format-14', 'clang-format'].find(
  (name) => !spawnSync(name, ['--version']).error,
);
if (!tool) {
  console.error('clang-format is not installed: the format of native/ was not checked');
  process.exit(0);
}
process.exit(spawnSync(tool, [...mode, ...files], { stdio: 'inherit' }).status ?? 1);
