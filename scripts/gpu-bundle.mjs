// `npm run gpu:bundle` writes build/protea-gpu.tar.gz for an offline machine with a GPU: addon, native
// tests, compiled tests, Node, golden vectors, sources and the PyTorch half. There: tar xzf, then
// protea-gpu/run. --backend simt or cpu packs that build instead, to try the bundle without a GPU;
// --folder FOLDER writes what is built there, with the Node that runs and no archive.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { copyGolden } from './bundle/golden.mjs';
import { copyLibraries } from './bundle/libraries.mjs';
import { copyModules } from './bundle/modules.mjs';
import { compressedNode } from './bundle/node.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const most = 60e6; // bytes of the archive
const { values } = parseArgs({
  options: { backend: { type: 'string', default: 'cuda' }, folder: { type: 'string' } },
});
const { backend } = values;
const folder = values.folder ?? join(root, 'build', 'protea-gpu');
const at = (...parts) => join(folder, ...parts);
const tests = { cuda: 'cuda/protea-native-test', simt: 'cpu/protea-native-test-plain' };

function run(program, ...args) {
  const { status } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed`);
}

function build() {
  const node = process.execPath;
  run(node, 'scripts/build-native.mjs', '--backend', backend);
  const mode = { cuda: 'cuda', simt: 'plain' }[backend];
  if (mode) run(node, 'scripts/build-native-tests.mjs', mode);
}

/** What was built takes the place of the CUDA build, whatever it is. */
function copyBuild() {
  const addon = at('build', 'cuda', 'Release', 'protea.node');
  mkdirSync(dirname(addon), { recursive: true });
  copyFileSync(join(root, 'build', backend, 'Release', 'protea.node'), addon);
  const programs = [process.execPath, addon];
  const native = tests[backend] && join(root, 'build', tests[backend]);
  if (native && existsSync(native)) {
    const test = at('build', 'cuda', 'protea-native-test');
    copyFileSync(native, test);
    programs.push(test);
  }
  for (const program of programs.slice(1)) run('strip', '--strip-unneeded', program);
  copyLibraries(programs, at('lib'));
}

function copyScripts() {
  const written = (from) => !from.endsWith('__pycache__');
  for (const part of ['gpu', 'peer'])
    cpSync(join(root, 'bench', part), at('bench', part), { recursive: true, filter: written });
  const keep = (from) => !/\.(map|d\.ts)$|bundle\.test\.js$/.test(from);
  for (const part of ['lib', 'test/ops', 'test/gpu', 'test/golden', 'test/support'])
    cpSync(join(root, 'dist', part), at('dist', part), { recursive: true, filter: keep });
  mkdirSync(at('bin'));
  copyFileSync(at('bench', 'gpu', 'run'), at('run'));
  copyFileSync(at('bench', 'gpu', 'native'), at('bin', 'native'));
  for (const program of [at('run'), at('bin', 'native')]) chmodSync(program, 0o755);
}

/** For `./run build`. */
function copySources() {
  for (const part of ['CMakeLists.txt', 'native'])
    cpSync(join(root, part), at('source', part), { recursive: true });
  const modules = join(root, 'node_modules');
  const headers = (from) => !/\.(md|js|json|gyp|gypi|c)$/.test(from);
  const copy = (from, to) => cpSync(from, at('source', to), { recursive: true, filter: headers });
  copy(join(modules, 'node-addon-api'), 'node-addon-api');
  copy(join(modules, 'node-api-headers', 'include'), 'node-api');
}

function writeManifests() {
  const { name, version, ava } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const git = spawnSync('git', ['describe', '--always', '--dirty', '--exclude=*'], {
    cwd: root,
    encoding: 'utf8',
  });
  const commit = git.status === 0 ? git.stdout.trim() : 'unknown';
  const manifest = { name, version, type: 'module', ava: { ...ava, nodeArguments: [] } };
  writeFileSync(at('package.json'), JSON.stringify(manifest, null, 1));
  const written = new Date().toISOString();
  writeFileSync(at('bundle.json'), JSON.stringify({ version, commit, backend, written }, null, 1));
}

/** Libraries of many megabytes become files of xz, which `run` undoes like Node's. */
function squeeze(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile() && statSync(path).size > 10e6) run('xz', '-6e', '--threads=1', path);
  }
}

function pack() {
  squeeze(at('node_modules'));
  const archive = `${folder}.tar.gz`;
  copyFileSync(compressedNode(join(root, 'build', 'cache')), at('bin', 'node.xz'));
  run(
    'tar',
    '--use-compress-program=gzip -9',
    '-cf',
    archive,
    '-C',
    dirname(folder),
    basename(folder),
  );
  const { size } = statSync(archive);
  console.log(`${archive} (${(size / 1e6).toFixed(1)} MB)`);
  if (size > most) throw new Error(`the archive must be under ${most / 1e6} MB`);
}

if (!['cuda', 'simt', 'cpu'].includes(backend)) throw new Error(`no backend "${backend}"`);
if (!values.folder) build();
else if (existsSync(folder)) throw new Error(`${folder} is there already`);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
copyBuild();
copyScripts();
copySources();
copyModules(root, folder);
const golden = copyGolden(root, at('golden'));
writeManifests();
console.log(`${golden} golden vectors${golden ? '' : ': PROTEA_SHARED names their folder'}`);
if (values.folder) symlinkSync(process.execPath, at('bin', 'node'));
else pack();
