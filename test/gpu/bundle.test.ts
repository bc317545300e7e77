// What goes to an offline machine with a GPU, tried with whatever addon is here; and its scripts, with
// a script in place of the native tests.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { candidates, packageRoot } from '../../lib/native.js';
import { temporaryFolder } from '../support/folder.js';

/** The backend whose addon is there: bundles may be made of any. */
const backend = () => {
  const path = candidates().find(existsSync)!;
  return ['cuda', 'simt', 'cpu'].find((name) => path.includes(join('build', name)))!;
};

test('gpu:bundle packs all that runs there: Node, addon and tests, from that folder alone', (t) => {
  t.timeout(600_000);
  const scratch = temporaryFolder(t);
  const folder = join(scratch, 'protea-gpu');
  const script = join(packageRoot(), 'scripts', 'gpu-bundle.mjs');
  const packed = spawnSync(process.execPath, [script, '--backend', backend(), '--folder', folder], {
    encoding: 'utf8',
  });
  t.is(packed.status, 0, packed.stderr);
  for (const file of ['run', 'bin/native', 'bench/gpu/bench.py', 'lib/libstdc++.so.6'])
    t.true(existsSync(join(folder, file)), file);
  for (const file of ['CMakeLists.txt', 'native/cuda/nvcc.cmake', 'node-api/node_api.h'])
    t.true(existsSync(join(folder, 'source', file)), file);

  const home = join(scratch, 'home');
  mkdirSync(home);
  const env = { HOME: home, PATH: home, PROTEA_BACKEND: 'cuda' };
  const there = (...args: string[]) =>
    spawnSync(join(folder, 'bin', 'node'), args, { cwd: folder, env, encoding: 'utf8' });
  for (const main of ['bench/gpu/loads.mjs', 'dist/lib/train/index.js']) {
    const loaded = there(main);
    t.is(loaded.status, 0, loaded.stderr);
  }
  const tested = there(
    'node_modules/ava/entrypoints/cli.mjs',
    '--tap',
    '--match=cpu is always there*',
    'dist/test/gpu/device.test.js',
  );
  t.regex(tested.stdout, /^ok 1 - cpu is always there/m, tested.stdout + tested.stderr);
});

/** A card, one op that is right, and one that never ends. */
const stand = `case $1 in
card) echo '{"ready":true,"emulated":false,"name":"stand-in","driver":"13.0"}' ;;
list) printf 'right\\nendless\\n' ;;
products) echo '{"products":"not used, to try this"}' ;;
agreement)
  echo "{\\"op\\":\\"\${2% }\\",\\"precision\\":\\"f32\\",\\"error\\":1e-6,\\"tolerance\\":1e-5}"
  [ "$2" = 'right ' ] || { echo $$ > endless.pid; exec sleep 600; } ;;
esac
`;

/** The bundle's scripts around a program in place of the native tests. */
function scripts(t: ExecutionContext, program: string): string {
  const folder = temporaryFolder(t);
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text, { mode: 0o755 });
  };
  const from = join(packageRoot(), 'bench', 'gpu');
  cpSync(from, join(folder, 'bench', 'gpu'), { recursive: true });
  put('run', readFileSync(join(from, 'run'), 'utf8'));
  put('bin/native', readFileSync(join(from, 'native'), 'utf8'));
  put('build/cuda/protea-native-test', `#!/bin/sh\n${program}`);
  put('dist/lib/native.js', 'export const addon = () => {};\n');
  put('package.json', '{"type": "module"}\n');
  put('bundle.json', '{"version": "0", "commit": "tried"}\n');
  symlinkSync(process.execPath, join(folder, 'bin', 'node'));
  return folder;
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 100_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited in vain until ${holds}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

function isRunning(pid: number): boolean {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
  return stat !== '' && !stat.includes(') Z ');
}

/** `run ops`, as soon as the op that never ends is all that is left of the native tests. */
async function started(t: ExecutionContext) {
  const folder = scripts(t, stand);
  const out = join(folder, 'out');
  const run = spawn(join(folder, 'run'), ['ops'], { env: { ...process.env, OUT: out } });
  let printed = '';
  run.stdout.on('data', (data) => {
    printed += data;
  });
  const result = () => JSON.parse(readFileSync(join(out, 'result.json'), 'utf8'));
  const left = ({ programs, ran }: { programs: number; ran: number }) => programs - ran;
  const native = () => existsSync(join(out, 'result.json')) && result().parts.ops?.native;
  await until(() => existsSync(join(folder, 'endless.pid')) && native() && left(native()) === 1);
  const pid = Number(readFileSync(join(folder, 'endless.pid'), 'utf8'));
  return { out, run, pid, result, printed: () => printed };
}

const ended = (run: ChildProcess) =>
  new Promise<number | null>((done) => run.on('close', (status) => done(status)));

test('a run that is told to stop prints and keeps what it has', async (t) => {
  t.timeout(120_000);
  const { out, run, pid, result, printed } = await started(t);
  run.kill('SIGTERM');
  t.is(await ended(run), 143);
  t.regex(printed(), /^matrix products: not used, to try this$/m);
  t.regex(printed(), /^\| right \| - \| f32 \| 0.000001 \|/m);
  t.regex(printed(), /^INCOMPLETE ops: 9 of 10 native parts, 1 not run; tests not run/m);
  t.true(result().parts.ops.incomplete);
  for (const file of ['table.txt', 'logs.tar.gz']) t.true(existsSync(join(out, file)), file);
  await until(() => !isRunning(pid));
  t.false(isRunning(pid));
});

test('a run that is killed leaves its results and no program behind', async (t) => {
  t.timeout(120_000);
  const { run, pid, result } = await started(t);
  run.kill('SIGKILL');
  await ended(run);
  await until(() => !isRunning(pid));
  t.is(result().parts.ops.native.errors[0].op, 'right');
});

test('native programs get the libraries of the machine, and those of the bundle where they must', (t) => {
  const folder = scripts(
    t,
    'case $LD_LIBRARY_PATH in $NEEDED*) echo "$LD_LIBRARY_PATH" ;; *) false ;; esac\n',
  );
  const driver = '/usr/local/nvidia/lib64:/usr/local/nvidia/lib';
  const got = (env: NodeJS.ProcessEnv) =>
    spawnSync(join(folder, 'bin', 'native'), ['card'], {
      env: { PATH: process.env.PATH, ...env },
      encoding: 'utf8',
    }).stdout.trim();
  t.is(got({ NEEDED: '/' }), driver);
  t.is(got({ NEEDED: '/theirs', LD_LIBRARY_PATH: '/theirs' }), `/theirs:${driver}`);
  const own = join(folder, 'lib');
  t.is(got({ NEEDED: own, LD_LIBRARY_PATH: '/theirs' }), `${own}:/theirs:${driver}`);
});

test('time that a part leaves goes to the later ones; alone a part gets all', async (t) => {
  const path = join(packageRoot(), 'bench', 'gpu', 'schedule.mjs');
  const { parts, turn } = await import(pathToFileURL(path).href);
  t.is(turn(['bench'], 480, 0), 480);
  t.is(turn(parts, 470, 0), 140);
  t.is(turn(parts.slice(1), 470, 140), 230);
  t.true(turn(parts.slice(1), 470, 40) > 40 + 90);
});
