import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ProteaError } from '../error.js';
import type { LabPoint, LabResult } from './experiment.js';
import type { LabName } from './setting.js';

const child = fileURLToPath(new URL('./child.js', import.meta.url));

export interface LabRun extends LabResult {
  points: LabPoint[];
}

interface Message {
  point?: LabPoint;
  result?: Omit<LabResult, 'directions' | 'group'> & { directions: number[]; group: number[] };
}

const start = (name: LabName, seed: number) =>
  fork(child, [name, String(seed)], { env: { ...process.env, PROTEA_THREADS: '1' } });

/** What a run's process tells, until it ends. */
function resultOf(
  name: LabName,
  worker: ChildProcess,
  onPoint: (name: LabName, point: LabPoint) => void,
): Promise<LabRun> {
  return new Promise((resolve, reject) => {
    const points: LabPoint[] = [];
    let result: LabRun | undefined;
    worker.on('message', (message: Message) => {
      if (message.point) {
        points.push(message.point);
        onPoint(name, message.point);
      }
      if (message.result) {
        const { directions, group, ...rest } = message.result;
        result = {
          ...rest,
          directions: Float32Array.from(directions),
          group: Int32Array.from(group),
          points,
        };
      }
    });
    worker.on('error', reject);
    worker.on('exit', (code) => {
      if (result) resolve(result);
      else
        reject(
          new ProteaError('ERR_PROTEA_ABORTED', `The run "${name}" ended with exit code ${code}`),
        );
    });
  });
}

/** Cores that a run leaves when it ends go to the runs that are left; results do not depend on it. */
function shareCores(workers: readonly ChildProcess[]): void {
  const left = new Set(workers);
  for (const worker of workers) {
    worker.on('exit', () => {
      left.delete(worker);
      const threads = Math.max(1, Math.floor(availableParallelism() / left.size));
      // One that ends at the same moment no longer listens, which is no failure of its run.
      for (const other of left) if (other.connected) other.send({ threads }, () => undefined);
    });
  }
}

/** Runs of the laboratory, side by side: unless others are asked for, plain DINO and with KoLeo-proto. */
export async function runLab(
  seed: number,
  onPoint: (name: LabName, point: LabPoint) => void,
  names: readonly LabName[] = ['dino', 'dino-kp'],
): Promise<LabRun[]> {
  const workers = names.map((name) => start(name, seed));
  shareCores(workers);
  try {
    return await Promise.all(workers.map((worker, i) => resultOf(names[i]!, worker, onPoint)));
  } finally {
    for (const worker of workers) worker.kill();
  }
}
