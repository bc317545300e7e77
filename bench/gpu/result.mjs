// result.json, which is whole at any time, and copies of what there is in the folder OUT names.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './process.mjs';

export const file = join(root, 'result.json');
const out = process.env.OUT;

function write(path, text) {
  writeFileSync(`${path}.part`, text);
  renameSync(`${path}.part`, path);
}

/** Does it if there is a folder for it; what cannot be written there does not stop the run. */
function intoOut(does) {
  if (!out) return;
  try {
    mkdirSync(out, { recursive: true });
    does(out);
  } catch (error) {
    console.error(`OUT: ${error.message}`);
  }
}

/** What parts found before on the same build. */
export function before({ commit }) {
  try {
    const found = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
    return found?.build.commit === commit ? found.parts : {};
  } catch {
    return {}; // of another layout
  }
}

export function save(result) {
  const text = `${JSON.stringify(result, null, 1)}\n`;
  try {
    write(file, text);
  } catch (error) {
    console.error(`${file}: ${error.message}`);
  }
  intoOut((folder) => write(join(folder, 'result.json'), text));
}

/** The table as it was printed, and all logs as one file. */
export function copyLogs(printed) {
  intoOut((folder) => {
    write(join(folder, 'table.txt'), `${printed}\n`);
    const archive = join(folder, 'logs.tar.gz');
    const packed = ['czf', `${archive}.part`, '-C', root, 'logs'];
    const { status, error } = spawnSync('tar', packed, { timeout: 10_000 });
    if (status !== 0) throw new Error(`tar failed ${error?.message ?? ''}`);
    renameSync(`${archive}.part`, archive);
  });
}
