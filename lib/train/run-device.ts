import { ProteaError } from '../error.js';
import {
  type ChosenDevice,
  chooseDevice,
  useDevice,
  useGraphs,
  usePrecision,
} from '../tensor/index.js';
import type { TrainConfig } from './config.js';

/**
 * Makes the config's device the place of new tensors, its precision that of products there, and its
 * way to launch work that of this process.
 * @throws ERR_PROTEA_BACKEND_UNAVAILABLE, ERR_PROTEA_CONFIG
 */
export function takeDevice({ run }: TrainConfig): ChosenDevice {
  const chosen = chooseDevice(run.device);
  if (chosen.device === 'cpu' && run.precision !== 'f32')
    throw new ProteaError(
      'ERR_PROTEA_CONFIG',
      `The CPU computes in f32, run.precision is ${run.precision} (the device: ${chosen.reason})`,
      { hint: 'Set run.precision to f32, or train on a GPU.' },
    );
  useDevice(chosen.device);
  if (chosen.device === 'cuda') {
    usePrecision(run.precision);
    useGraphs(run.graphs);
  }
  return chosen;
}
