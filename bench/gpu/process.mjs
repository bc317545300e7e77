// Programs with a time limit, whose output goes to logs/ as well.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const node = process.execPath;
export const native = join(root, 'bin', 'native');

const running = new Set();
function stop(child) {
  try {
    process.kill(-child.pid, 'SIGKILL'); // and what it started
  } catch {} // it has just ended
}
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    running.forEach(stop);
    process.exit(130);
  });

/** Libraries of this folder are for Node and its children only: a Python has its own. */
export const ownLibraries = { LD_LIBRARY_PATH: process.env.PROTEA_LIBRARIES ?? '' };

/**
 * Runs a program until it ends or the time (ms since 1970) is over: { status, text, seconds, late }.
 * `onLine` gets each line of stdout as it comes.
 */
export function run(name, [program, ...args], { until, env = {}, onLine } = {}) {
  const began = Date.now();
  const child = spawn(program, args, {
    cwd: root,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let text = '';
  let rest = '';
  let late = false;
  child.stdout.on('data', (data) => {
    text += data;
    const lines = (rest + data).split('\n');
    rest = lines.pop();
    if (onLine) lines.forEach(onLine);
  });
  child.stderr.on('data', (data) => {
    text += data;
  });
  const timer = setTimeout(
    () => {
      late = true;
      stop(child);
    },
    Math.max(until - began, 0),
  );
  return new Promise((done) => {
    const end = (status) => {
      clearTimeout(timer);
      running.delete(child);
      keep(name, text);
      done({ status, text, seconds: (Date.now() - began) / 1000, late });
    };
    child.on('error', (error) => {
      text += error.message;
      end(127);
    });
    child.on('close', (status) => end(status ?? 1));
  });
}

function keep(name, text) {
  mkdirSync(join(root, 'logs'), { recursive: true });
  writeFileSync(join(root, 'logs', `${name.replaceAll(/[^\w.-]+/g, '-')}.log`), text);
}

/** Does all jobs, `width` at a time, in order; those that time leaves no room for give undefined. */
export async function pool(jobs, width, until) {
  const results = new Array(jobs.length);
  let next = 0;
  async function worker() {
    while (next < jobs.length && Date.now() < until) {
      const i = next++;
      results[i] = await jobs[i]();
    }
  }
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

/** The JSON lines of a text. */
export function jsonLines(text) {
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return [];
    try {
      return [JSON.parse(line)];
    } catch {
      return []; // cut off by the time limit
    }
  });
}

export const tail = (text, count = 8) => text.trim().split('\n').slice(-count);
