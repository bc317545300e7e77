// Tests the CUDA kernels without a GPU: `node scripts/test-cuda.mjs [--all]`. Native cases under several
// schedules and under the race check, planted mistakes, then test/ops and test/gpu of TypeScript on
// the emulated device. --all adds AddressSanitizer and the test that leaves each barrier out. Where
// nvcc is there, its build is checked too with --nvcc. Prints "N tests passed" and "N tests failed".
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build-native-tests.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const all = process.argv.includes('--all');
let passed = 0;
let failed = 0;

function count(ok, what) {
  if (ok) passed++;
  else failed++;
  console.log(`  ${ok ? '✔' : '✘'} ${what}`);
}

/** Runs a part of a native test program: all of its expectations are one test. */
function native(program, mode, ...part) {
  const { status, stdout } = spawnSync(program, part, { encoding: 'utf8' });
  const lines = (stdout ?? '').trim().split('\n');
  count(status === 0, `native ${mode} ${part.join(' ')}: ${lines.at(-1)}`);
  if (status !== 0) console.log(lines.slice(-20).join('\n'));
}

/** A planted mistake must be found by one of the builds; the kernel without one by none. */
function planted(programs) {
  const { stdout } = spawnSync(programs[0], ['planted', 'list'], { encoding: 'utf8' });
  for (const name of stdout.split('\n').filter((line) => /^[a-z-]+$/.test(line))) {
    const found = programs.some((program) => spawnSync(program, ['planted', name]).status !== 0);
    count(found === (name !== 'none'), `planted ${name}: ${found ? 'found' : 'not found'}`);
  }
}

function typescript() {
  const node = process.execPath;
  const built = spawnSync(node, [join(root, 'scripts', 'build-native.mjs'), '--backend', 'simt'], {
    encoding: 'utf8',
  });
  if (built.status !== 0) {
    console.log(built.stdout, built.stderr);
    count(false, 'the addon with emulated kernels');
    return;
  }
  const ava = join(dirname(createRequire(import.meta.url).resolve('ava')), 'cli.mjs');
  const env = { ...process.env, PROTEA_BACKEND: 'simt' };
  const files = ['dist/test/ops/*.test.js', 'dist/test/gpu/*.test.js'];
  const { status } = spawnSync(node, [ava, ...files], { cwd: root, env, stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}

const plain = build('plain');
const race = build('race');
native(plain, 'plain', 'machine');
native(plain, 'plain', 'agreement');
native(race, 'race', 'machine');
native(race, 'race', 'agreement');
planted([plain, race]);
if (all) {
  native(build('asan'), 'asan');
  native(race, 'race', 'removals');
}
console.log(`\n  ${passed} tests passed`);
if (failed) {
  console.log(`  ${failed} tests failed`);
  process.exitCode = 1;
}
typescript();
