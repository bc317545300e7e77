// The process groups of programs that run: none outlives this process, not even when it is killed.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const running = new Set();
let watchdog;

function tell(words) {
  if (!watchdog) {
    const script = join(import.meta.dirname, 'watchdog.sh');
    const stdio = ['pipe', 'ignore', 'ignore'];
    watchdog = spawn('sh', [script], { stdio, detached: true });
    for (const end of [watchdog, watchdog.stdin]) {
      end.on('error', () => {}); // one watch less, nothing else is lost
      end.unref();
    }
  }
  watchdog.stdin.write(`${words}\n`);
}

/** Kills a program and what it started in its group. */
export function kill({ pid }) {
  try {
    if (pid) process.kill(-pid, 'SIGKILL');
  } catch {} // all of it has ended
}

/** For a program that leads a group of its own (`detached`). */
export function watch(child) {
  running.add(child);
  if (child.pid) tell(`start ${child.pid}`);
}

/** What an ended program has left behind in its group goes too. */
export function forget(child) {
  if (!running.delete(child)) return;
  kill(child);
  if (child.pid) tell(`end ${child.pid}`);
}

export const killAll = () => running.forEach(kill);
process.on('exit', killAll);
