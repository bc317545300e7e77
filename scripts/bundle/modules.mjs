// The packages that the compiled tests need at run time, and no tool that only builds or watches.
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Not needed to run: compilers, ava's watch mode, and other runtimes' modules. */
const left = /^(cmake-js|node-addon-api|@vercel\/nft|bare-.*)$/;
const documents = /(\.(md|map|ts|cts|mts)|[/\\](\.cache|test|tests|docs|man|\.github))$/i;

function found(from, name) {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', name);
    if (existsSync(join(path, 'package.json'))) return path;
    if (folder === dirname(folder)) return undefined;
  }
}

function walk(path, seen) {
  if (seen.has(path)) return;
  const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  seen.add(path);
  const { dependencies = {}, optionalDependencies = {} } = manifest;
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const next = left.test(name) ? undefined : found(path, name);
    if (next) walk(next, seen);
    else if (!left.test(name) && !optionalDependencies[name])
      throw new Error(`${manifest.name} needs ${name}, which is not installed`);
  }
}

/** Copies the run-time packages of the checkout at `root` into `to`/node_modules. */
export function copyModules(root, to) {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const seen = new Set();
  for (const name of [...Object.keys(dependencies), 'ava'])
    if (!left.test(name)) walk(found(root, name), seen);
  for (const path of seen) {
    const place = path.slice(path.indexOf('node_modules'));
    cpSync(path, join(to, place), {
      recursive: true,
      dereference: true,
      filter: (from) =>
        from === path ||
        !(documents.test(from) || from.slice(path.length).includes('node_modules')),
    });
  }
}
