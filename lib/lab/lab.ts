import { fork } from 'node:child_process';
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

/** One run in its own process, on one thread. */
function inProcess(
  name: LabName,
  seed: number,
  onPoint: (name: LabName, point: LabPoint) => void,
): Promise<LabRun> {
  return new Promise((resolve, reject) => {
    const points: LabPoint[] = [];
    let result: LabRun | undefined;
    const worker = fork(child, [name, String(seed)], {
      env: { ...process.env, PROTEA_THREADS: '1' },
    });
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

/** Runs of the laboratory, side by side: unless others are asked for, plain DINO and with KoLeo-proto. */
export function runLab(
  seed: number,
  onPoint: (name: LabName, point: LabPoint) => void,
  names: readonly LabName[] = ['dino', 'dino-kp'],
): Promise<LabRun[]> {
  return Promise.all(names.map((name) => inProcess(name, seed, onPoint)));
}
