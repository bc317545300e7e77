// `npm ci` in a checkout ends here: compile the TypeScript, then the CPU addon. A checkout without
// an addon is useless, so a failed build fails the install; PROTEA_SKIP_NATIVE=1 leaves the addon out.
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function run(script) {
  const { status } = spawnSync('npm', ['run', '--silent', script], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error(
      `\nprotea: "npm run ${script}" failed. The addon needs a C++20 compiler (g++ 11, clang 14 or newer) and cmake 3.18 or newer.`,
    );
    process.exit(1);
  }
}

run('build:ts');
if (!process.env.PROTEA_SKIP_NATIVE) run('build:native');
