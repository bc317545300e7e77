// Programs with a time limit. Their output goes to logs/ as it comes, so that it is there however this
// process ends.
import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { forget, kill, watch } from './children.mjs';

export const root = dirname(dirname(import.meta.dirname));
export const node = process.execPath;
export const native = join(root, 'bin', 'native');

/** What Node and the addon are linked with is for Node alone: other programs get the machine's own. */
const { PROTEA_LIBRARIES: own, PROTEA_MACHINE_LIBRARIES: machine } = process.env;
const surroundings = { ...process.env };
if (own !== undefined) {
  if (machine) surroundings.LD_LIBRARY_PATH = machine;
  else delete surroundings.LD_LIBRARY_PATH;
}
export const ownLibraries = own === undefined ? {} : { LD_LIBRARY_PATH: own };

const grace = 2000; // ms from a program's end until its pipes are given up
const longest = 2 ** 31 - 1; // ms of a timer

/** Text of a program: `stdout` apart from `text`, which has both streams and is logged. */
class Output {
  stdout = '';
  text = '';
  #rest = '';
  #log;

  constructor(name) {
    mkdirSync(join(root, 'logs'), { recursive: true });
    this.#log = join(root, 'logs', `${name.replaceAll(/[^\w.-]+/g, '-')}.log`);
    writeFileSync(this.#log, '');
  }

  add(data) {
    this.text += data;
    try {
      appendFileSync(this.#log, data);
    } catch {} // a full disk: the run goes on without its log
  }

  collect(child, onLine) {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (data) => this.add(data));
    }
    child.on('error', ({ message }) => this.add(message));
    child.stdout.on('data', (data) => {
      this.stdout += data;
      const lines = (this.#rest + data).split('\n');
      this.#rest = lines.pop();
      if (onLine) lines.forEach(onLine);
    });
  }
}

function start([program, ...args], env) {
  const child = spawn(program, args, {
    cwd: root,
    env: { ...surroundings, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  watch(child);
  return child;
}

/** Waits for a program, which is killed after `ms`: { status, signal, stopped }. */
function ending(child, ms) {
  return new Promise((done) => {
    let stopped = false;
    // Neither a pipe that a grandchild holds nor a program that its driver does not let go may last.
    const soon = (...how) => setTimeout(end, grace, ...how).unref();
    const timer = setTimeout(() => {
      stopped = true;
      kill(child);
      soon(null, 'SIGKILL');
    }, ms);
    function end(status, signal) {
      clearTimeout(timer);
      done({ status: status ?? 1, signal, stopped });
    }
    child.on('error', () => end(127));
    child.on('exit', soon);
    child.on('close', end);
  });
}

/**
 * Runs a program until it ends, `until` (ms since 1970) has come or `limit` seconds are over:
 * { status, signal, stdout, text, seconds, late, hung }. late: the time was over; hung: its own limit.
 * `onLine` gets each line of stdout as it comes.
 */
export async function run(name, command, options = {}) {
  const { until = Infinity, limit = Infinity, env, onLine } = options;
  const began = Date.now();
  const left = Math.max(until - began, 0);
  const output = new Output(name);
  const child = start(command, env);
  output.collect(child, onLine);
  const { status, signal, stopped } = await ending(child, Math.min(left, 1000 * limit, longest));
  forget(child);
  for (const stream of [child.stdout, child.stderr]) stream.destroy();
  const hung = stopped && 1000 * limit < left;
  const seconds = (Date.now() - began) / 1000;
  const { stdout, text } = output;
  return { status, signal, stdout, text, seconds, late: stopped && !hung, hung };
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

/** Why a program did not end well, from how it ended and its last lines that are no results. */
export function reasons({ hung, late, signal, seconds, text }) {
  if (late) return ['no time left'];
  const how = hung ? `stopped after ${seconds.toFixed(0)} s` : signal && `ended by ${signal}`;
  const words = text.replaceAll(/^\{.*\n?/gm, '');
  return [...(how ? [how] : []), ...tail(words)].filter(Boolean);
}
