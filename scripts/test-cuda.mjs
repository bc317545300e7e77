// Tests the CUDA kernels without a GPU: `node scripts/test-cuda.mjs [--all] [--nvcc | --nvcc-all]`. Native
// cases under several schedules and under the race check, planted mistakes, then test/ops and test/gpu
// of TypeScript on the emulated device. --nvcc compiles them for one architecture too, where nvcc is
// there, --nvcc-all (or the variable CI) for all. --all adds --nvcc, AddressSanitizer, ThreadSanitizer
// and the test that leaves each barrier out. Prints "N tests passed" and "N tests failed".
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build-native-tests.mjs';
import { nvcc } from './nvcc.mjs';

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
  nativeWith({}, program, mode, ...part);
}

function nativeWith(settings, program, mode, ...part) {
  const env = { ...process.env, ...settings };
  const { status, signal, stdout, stderr } = spawnSync(program, part, { encoding: 'utf8', env });
  const lines = `${stdout ?? ''}${stderr ?? ''}`.trim().split('\n');
  const end = signal ? `ended by ${signal}` : lines.at(-1);
  count(status === 0, `native ${mode} ${part.join(' ')}: ${end}`);
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

/** Does nvcc take every kernel, without a warning? */
function compiled(mode) {
  if (spawnSync(nvcc, ['--version']).status !== 0) {
    console.log('  - kernels compiled by nvcc: skipped, no nvcc here (CUDACXX names one)');
    return;
  }
  try {
    build(mode);
    const cards = mode === 'nvcc' ? 'sm_80' : 'every architecture';
    count(true, `kernels compiled by nvcc for ${cards}, no warning`);
  } catch (error) {
    count(false, `kernels compiled by nvcc: ${error.message}`);
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

if (process.env.CI || process.argv.includes('--nvcc-all')) compiled('nvcc-all');
else if (all || process.argv.includes('--nvcc')) compiled('nvcc');
const plain = build('plain');
const race = build('race');
native(plain, 'plain', 'machine');
native(plain, 'plain', 'matrices');
native(plain, 'plain', 'gradients');
native(plain, 'plain', 'nearest');
native(plain, 'plain', 'reads');
native(plain, 'plain', 'graphs');
native(plain, 'plain', 'agreement');
for (const library of ['off', 'emulated', 'emulated-wrong'])
  nativeWith({ PROTEA_CUBLASLT: library }, plain, `cuBLASLt ${library}`, 'products');
for (const library of ['off', 'emulated'])
  nativeWith({ PROTEA_CUBLASLT: library }, plain, `cuBLASLt ${library}`, 'rounding');
nativeWith({ PROTEA_CUBLASLT: 'emulated' }, plain, 'cuBLASLt emulated', 'graphs');
nativeWith({ PROTEA_CUBLASLT: 'emulated' }, plain, 'cuBLASLt emulated', 'agreement', 'linear');
native(race, 'race', 'machine');
native(race, 'race', 'matrices');
native(race, 'race', 'nearest');
native(race, 'race', 'agreement');
planted([plain, race]);
if (all) {
  native(build('asan'), 'asan');
  const beside = build('tsan');
  for (const part of ['diagnosis', 'gemm', 'gradients', 'rounding', 'reads', 'graphs'])
    native(beside, 'tsan', part);
  native(race, 'race', 'removals');
  const trials = ['prototype_cross_entropy 256', 'koleo 256', 'adamw 16'];
  for (const trial of [...trials, 'prototype_sinkhorn 256', 'augment 16'])
    native(plain, 'plain', 'bench', trial);
}
console.log(`\n  ${passed} tests passed`);
if (failed) {
  console.log(`  ${failed} tests failed`);
  process.exitCode = 1;
}
typescript();
