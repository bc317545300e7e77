import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, ProteaError } from './error.js';

/** bf16 is made by ops on a GPU alone, where `rounded` asks for it. */
export type DType = 'f32' | 'f64' | 'i32' | 'u8' | 'bf16';

/** Where a tensor is and its ops run. */
export type DeviceName = 'cpu' | 'cuda';
/** What products on a GPU are computed in. */
export type Precision = 'f32' | 'bf16';

/** What the addon tells of a tensor it made. */
export interface Described {
  id: number;
  shape: number[];
  dtype: DType;
  device: DeviceName;
}

/**
 * What the addon exports: the whole boundary between TypeScript and C++. Handle 0: not given; a
 * device not given: the CPU.
 */
export interface Native {
  /** The numbers that `call` and `backward` are given and give: lib/tensor/call.ts. */
  useSlate(numbers: Float64Array): void;
  /** A number that stands for these names of attributes. */
  names(list: readonly string[]): number;
  /** `op` by its place in `ops()`; how many outputs it made. */
  call(op: number, inputs: number, names: number): number;
  make(
    shape: readonly number[],
    dtype: DType,
    data: NodeJS.TypedArray,
    device: DeviceName,
  ): Described;
  read(tensor: number): Promise<ArrayBuffer>;
  reshape(tensor: number, shape: readonly number[]): Described;
  watch(tensor: number): void;
  backward(loss: number, count: number): void;
  free(tensor: number): void;
  openScope(): number;
  closeScope(scope: number, keep: readonly number[]): void;
  pauseTape(): void;
  resumeTape(): void;
  clearTape(): void;
  memory(device?: DeviceName): MemoryReport;
  resetPeak(device?: DeviceName): void;
  setMemoryLimit(bytes: number, device?: DeviceName): void;
  gpu(): GpuReport;
  /** Of products on the GPU. */
  setPrecision(precision: Precision): void;
  /** Whether work on the GPU is launched as CUDA graphs. */
  setGraphs(on: boolean): void;
  setPoison(on: boolean): void;
  threads(): number;
  setThreads(count: number): void;
  uniforms(
    seed: number,
    epoch: number,
    sample: number,
    purpose: number,
    count: number,
  ): Float64Array;
  /** The ops that have a kernel for the device. */
  ops(device?: DeviceName): string[];
  /** How far the long kernel that runs now has come, in [0, 1]. */
  progress(): number;
  isa(): string;
  makeViews(
    pictures: readonly NativePicture[],
    recipes: readonly (readonly number[])[],
    normalisation: readonly number[],
    key: { seed: number; epoch: number; samples: readonly number[] },
  ): Promise<ArrayBuffer[]>;
  /** The same views drawn and not made: the pictures' bytes, and for each recipe its plans. */
  drawViews(
    pictures: readonly NativePicture[],
    recipes: readonly (readonly number[])[],
    key: { seed: number; epoch: number; samples: readonly number[] },
  ): Promise<{ pixels: ArrayBuffer; plans: ArrayBuffer[] }>;
  applySteps(
    picture: NativePicture,
    steps: readonly (readonly number[])[],
  ): Promise<NativePictureResult>;
  applyFloatSteps(
    picture: NativePicture,
    steps: readonly (readonly number[])[],
  ): Promise<NativePictureResult>;
  flora(seed: number, label: number, sample: number, size: number): Promise<ArrayBuffer>;
  /** Null: not a plain JPEG, or a build without libjpeg-turbo. */
  decodeJpeg(bytes: Uint8Array, maxPixels: number): Promise<NativePictureResult | null>;
  hasJpeg(): boolean;
}

/** RGB bytes, row by row: (height, width, 3). */
export interface NativePicture {
  data: Uint8Array;
  width: number;
  height: number;
}

export interface NativePictureResult {
  data: ArrayBuffer;
  width: number;
  height: number;
}

/** Bytes of the device's memory. */
export interface MemoryReport {
  /** Live handles. */
  tensors: number;
  bytes: number;
  cachedBytes: number;
  /** The largest `bytes` since `resetPeak()`. */
  peakBytes: number;
  /** Working memory of kernels, over all threads. */
  scratchBytes: number;
}

/** What there is of a GPU, and whether this build runs on it. */
export interface GpuReport {
  /** This build has CUDA kernels. */
  built: boolean;
  /** A first kernel ran and gave the right result. */
  ready: boolean;
  /** The kernels run on the CPU, thread by thread: a build for tests. */
  emulated: boolean;
  /** Why it is not ready, or what runs. */
  reason: string;
  /** What to do about it; empty when ready. */
  remedy: string;
  name: string;
  /** Compute capability, for example "9.0". */
  capability: string;
  /** What makes matrix products: cuBLASLt and where it was found, or own kernels and why. */
  products: string;
  /** Version of CUDA that the driver supports. */
  driver: string;
  /** Version of CUDA that this build was made with. */
  runtime: string;
  /** Bytes. */
  memory: number;
  processors: number;
}

/** The folder of package.json, from the sources as from dist/. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** When a file was written, in ms; 0 where there is none. */
const writtenAt = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/**
 * Where an addon may lie, best first: the path asked for, the build asked for (PROTEA_BACKEND: cpu,
 * cuda or simt), or the newest build, and prebuilt ones.
 */
export function candidates(): string[] {
  const root = packageRoot();
  const asked = process.env['PROTEA_NATIVE_PATH'];
  const backend = process.env['PROTEA_BACKEND'];
  const platform = `${process.platform}-${process.arch}`;
  const built = (name: string) => join(root, 'build', name, 'Release', 'protea.node');
  const newest = [built('cuda'), built('cpu')].sort((a, b) => writtenAt(b) - writtenAt(a));
  return [
    ...(asked ? [asked] : []),
    ...(backend ? [built(backend)] : newest),
    ...(backend ? [] : [join(root, 'prebuilds', platform, 'cpu', 'protea.node')]),
  ];
}

function load(): Native {
  const require = createRequire(import.meta.url);
  const bindings = require('bindings') as (options: object) => Native;
  const tried: string[] = [];
  for (const path of candidates()) {
    if (!existsSync(path)) {
      tried.push(`${path}: not there`);
      continue;
    }
    try {
      return bindings({ bindings: 'protea', module_root: packageRoot(), try: [[path]] });
    } catch (error) {
      tried.push(`${path}: ${(error as Error).message}`);
    }
  }
  throw new ProteaError(
    'ERR_PROTEA_NATIVE_LOAD',
    `No usable native addon.\n  ${tried.join('\n  ')}`,
    {
      hint: 'Build it with "npm run build:native" in a checkout (a C++20 compiler and cmake are needed), or set PROTEA_NATIVE_PATH.',
    },
  );
}

let loaded: Native | undefined;

/** The addon, loaded at first use. */
export function addon(): Native {
  loaded ??= load();
  return loaded;
}

function translate(cause: unknown): unknown {
  const { code, message } = cause as { code?: unknown; message?: string };
  if (typeof code !== 'string' || !code.startsWith('ERR_PROTEA_')) return cause;
  return new ProteaError(code as ErrorCode, message ?? code, { cause });
}

/** Runs a native call; a C++ error keeps its code and gets the caller's stack. */
export function native<Result>(run: (addon: Native) => Result): Result {
  const instance = addon();
  try {
    return run(instance);
  } catch (cause) {
    throw translate(cause);
  }
}

/** As `native`, for calls that return a promise: the stack is the caller's, not the worker's. */
export function nativeAsync<Result>(run: (addon: Native) => Promise<Result>): Promise<Result> {
  const caller = new Error('called from');
  return native(run).catch((cause: unknown) => {
    const error = translate(cause);
    if (error instanceof Error && caller.stack) {
      error.stack = `${error.name}: ${error.message}\n${caller.stack.split('\n').slice(2).join('\n')}`;
    }
    throw error;
  });
}
