import { checkInteger } from '../error.js';
import { native } from '../native.js';
import { type Tensor, tensor } from '../tensor/index.js';

/** Trainable tensors by their official name, in the order they were declared. */
export type Parameters = Map<string, Tensor>;

/** How a parameter starts. */
export type Initialisation =
  | { kind: 'constant'; value: number }
  | { kind: 'normal'; std: number }
  | { kind: 'uniform'; bound: number };

export interface ParameterSpec {
  name: string;
  shape: readonly number[];
  init: Initialisation;
}

export const constant = (value: number): Initialisation => ({ kind: 'constant', value });

/**
 * The field's trunc_normal_(std = 0.02) cuts at ±2, which is 100 standard deviations: a plain normal.
 */
export const normal = (std: number): Initialisation => ({ kind: 'normal', std });

/**
 * A linear layer of a transformer: std 0.02 as in the official code from width 384 on, where a layer
 * then scales by 0.02 sqrt(384). Narrower layers get that same scale; with std 0.02 their branches
 * would hardly reach the residual stream, and all images would look alike at the start.
 */
export const projection = (inputs: number): Initialisation =>
  normal(0.02 * Math.max(1, Math.sqrt(384 / inputs)));

/** PyTorch's default for linear and convolution layers: U(±1 / sqrt(fan in)). */
export const fanIn = (inputs: number): Initialisation => ({
  kind: 'uniform',
  bound: 1 / Math.sqrt(inputs),
});

const initPurpose = 1;

/** Uniform numbers in [0, 1), a pure function of the key. */
export const uniforms = (
  seed: number,
  epoch: number,
  sample: number,
  purpose: number,
  count: number,
): Float64Array => native((addon) => addon.uniforms(seed, epoch, sample, purpose, count));

/** Standard normal numbers by Box-Muller. */
export function normals(seed: number, sample: number, purpose: number, count: number) {
  const u = uniforms(seed, 0, sample, purpose, 2 * count);
  return Float32Array.from(
    { length: count },
    (_, i) => Math.sqrt(-2 * Math.log(1 - u[2 * i]!)) * Math.cos(2 * Math.PI * u[2 * i + 1]!),
  );
}

function initialValues({ init, shape }: ParameterSpec, seed: number, index: number): Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  if (init.kind === 'constant') return new Float32Array(size).fill(init.value);
  if (init.kind === 'normal')
    return normals(seed, index, initPurpose, size).map((v) => v * init.std);
  return Float32Array.from(
    uniforms(seed, 0, index, initPurpose, size),
    (u) => (2 * u - 1) * init.bound,
  );
}

/** Makes the parameters of `specs`. Each has its own stream, so adding one changes no other's. */
export function initialise(specs: readonly ParameterSpec[], seed: number): Parameters {
  checkInteger('seed', seed, 0);
  return new Map(
    specs.map((spec) => [
      spec.name,
      tensor(initialValues(spec, seed, streamOf(spec.name)), spec.shape),
    ]),
  );
}

/** FNV-1a of the name: which stream a parameter is drawn from. */
function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193);
  return hash >>> 0;
}

/** The parameters whose names begin with `prefix`, without it. */
export function under(parameters: Parameters, prefix: string): Parameters {
  return new Map(
    [...parameters]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
}
