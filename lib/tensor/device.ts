// Which device new tensors go to. An op runs where its inputs are.
import { ProteaError } from '../error.js';
import { addon, type DeviceName, type GpuReport, type Precision } from '../native.js';

export type { DeviceName, GpuReport, Precision } from '../native.js';

/** What can be asked for: auto takes the GPU when there is one that this build runs on. */
export type DeviceChoice = DeviceName | 'auto';

let current: DeviceName = 'cpu';
let computesIn: Precision = 'f32';

/** Where `tensor`, `zeros` and `full` make tensors unless told otherwise. */
export const currentDevice = (): DeviceName => current;

/** What there is of a GPU, found step by step: driver, card, a first kernel. */
export const gpu = (): GpuReport => addon().gpu();

export interface ChosenDevice {
  device: DeviceName;
  /** Why this one, as a sentence without a full stop. */
  reason: string;
}

/**
 * Decides which device a run uses. `cuda` never falls back to the CPU.
 * @throws ERR_PROTEA_BACKEND_UNAVAILABLE when cuda is asked for and cannot be used
 */
export function chooseDevice(choice: DeviceChoice): ChosenDevice {
  if (choice === 'cpu') return { device: 'cpu', reason: 'asked for' };
  const found = gpu();
  if (choice === 'cuda') {
    if (found.ready) return { device: 'cuda', reason: `asked for: ${found.reason}` };
    throw new ProteaError(
      'ERR_PROTEA_BACKEND_UNAVAILABLE',
      `The device "cuda" cannot be used: ${found.reason}`,
      { hint: found.remedy },
    );
  }
  if (found.ready && !found.emulated) return { device: 'cuda', reason: found.reason };
  const why = found.emulated && found.ready ? 'the GPU of this build is emulated' : found.reason;
  return { device: 'cpu', reason: why };
}

/** Makes `device` the place of new tensors, for the whole process. Returns the one before. */
export function useDevice(device: DeviceName): DeviceName {
  const before = current;
  current = device;
  return before;
}

/**
 * What products on the GPU are computed in from here on, for the whole process: f32, or operands
 * rounded to bf16 with sums in f32. Values, sums and optimisers are f32 either way.
 * @throws ERR_PROTEA_DEVICE when there is no GPU
 */
export function usePrecision(precision: Precision): void {
  addon().setPrecision(precision);
  computesIn = precision;
}

/**
 * Whether work on the GPU is launched as CUDA graphs from here on, for the whole process: stretches of
 * ops are recorded and launched at once. Results are the same, bit for bit.
 * @throws ERR_PROTEA_DEVICE when there is no GPU
 */
export function useGraphs(on: boolean): void {
  addon().setGraphs(on);
}

/** What `usePrecision` set last. */
export const currentPrecision = (): Precision => computesIn;
