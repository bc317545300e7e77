// The one way an op is tested: value, gradient, determinism, and gradients that add up.
import type { ExecutionContext } from 'ava';
import { type DeviceName, native } from '../../lib/native.js';
import {
  backward,
  call,
  dot,
  scope,
  type Tensor,
  tensor,
  watch,
  weightedSum,
} from '../../lib/tensor/index.js';

export interface Input {
  shape: number[];
  values: number[];
  /** Off for constants, which must get no gradient though they are watched. @default true */
  differentiable?: boolean;
  dtype?: 'i32' | 'u8';
}

export interface OpCase {
  op: string;
  inputs: (Input | undefined)[];
  attrs?: Record<string, number | readonly number[]>;
  /**
   * The visible outputs in plain float64 arithmetic: the definition the kernels must meet. Without it,
   * where another test has the definition, f32 is held to f64.
   */
  reference?: (inputs: number[][]) => number[][];
  /** Which outputs have a gradient. @default all floating ones */
  outputs?: number[];
  /** Absolute and relative bounds of the f32 values against the definition. @default 1e-5 */
  tolerance?: number;
  /** Skip where the op has no gradient. @default true */
  gradient?: boolean;
}

const step = 1e-6;
type Real = 'f32' | 'f64';

/** In which numbers, and where. */
interface Place {
  dtype: Real;
  device: DeviceName;
}
const exactly: Place = { dtype: 'f64', device: 'cpu' };
const single: Place = { dtype: 'f32', device: 'cpu' };
const onGpu: Place = { dtype: 'f32', device: 'cuda' };

/** Whether the addon that runs has a GPU, or an emulated one, and a kernel for the op. */
const hasGpuKernel = (op: string) =>
  native((addon) => addon.gpu().ready && addon.ops('cuda').includes(op));

/** A fixed, uneven upstream gradient. */
const upstream = (size: number) =>
  Array.from({ length: size }, (_, i) => Math.sin(1 + i * 0.7) + 0.1);

/** Values in [-1, 1] that depend on the seed alone. */
export function pseudo(size: number, seed = 1): number[] {
  return Array.from(
    native((addon) => addon.uniforms(seed, 0, 0, 0, size)),
    (u) => 2 * u - 1,
  );
}

function place(
  inputs: OpCase['inputs'],
  values: number[][],
  { dtype, device }: Place,
): (Tensor | undefined)[] {
  return inputs.map(
    (input, i) => input && tensor(values[i]!, input.shape, input.dtype ?? dtype, device),
  );
}

function objective(made: Tensor[], which: number[] | undefined): Tensor {
  const real = made.filter((y, i) =>
    which ? which.includes(i) : y.dtype === 'f32' || y.dtype === 'f64',
  );
  const terms = real.map((y) => dot(y, tensor(upstream(y.size), y.shape, y.dtype, y.device)));
  return weightedSum(
    terms,
    terms.map(() => 1),
  );
}

async function forward(c: OpCase, values: number[][], at: Place): Promise<number[][]> {
  const made = scope(() => call(c.op, place(c.inputs, values, at), c.attrs));
  const read = await Promise.all(made.map(async (y) => Array.from(await y.read())));
  for (const y of made) y.dispose();
  return read;
}

async function objectiveAt(c: OpCase, values: number[][]): Promise<number> {
  const loss = scope(() =>
    objective(call(c.op, place(c.inputs, values, exactly), c.attrs), c.outputs),
  );
  const value = await loss.item();
  loss.dispose();
  return value;
}

/** Gradients of the objective; `times` > 1 calls the op that often, so gradients must accumulate. */
async function gradients(
  c: OpCase,
  values: number[][],
  at: Place,
  times: number,
): Promise<(number[] | undefined)[]> {
  const found = scope(() => {
    const inputs = place(c.inputs, values, at);
    const wanted = inputs.map((x, i) => (x && !c.inputs[i]!.dtype ? watch(x) : undefined));
    const losses = Array.from({ length: times }, () =>
      objective(call(c.op, inputs, c.attrs), c.outputs),
    );
    const loss = weightedSum(
      losses,
      losses.map(() => 1),
    );
    const present = wanted.filter((x) => x !== undefined);
    const grads = backward(loss, present);
    return wanted.map((x) => (x ? grads[present.indexOf(x)] : undefined));
  });
  const read = await Promise.all(
    found.map(async (g) => (g ? Array.from(await g.read()) : undefined)),
  );
  for (const g of found) g?.dispose();
  return read;
}

function close(
  t: ExecutionContext,
  got: number[],
  expected: number[],
  atol: number,
  rtol: number,
  what: string,
): void {
  t.is(got.length, expected.length, `${what}: length`);
  for (let i = 0; i < got.length; i++) {
    const bound = atol + rtol * Math.abs(expected[i]!);
    if (!(Math.abs(got[i]! - expected[i]!) <= bound)) {
      t.fail(`${what} at ${i}: ${got[i]}, expected ${expected[i]} within ${bound}`);
      return;
    }
  }
}

/**
 * Checks the value in f64 and f32 against the definition, the f64 gradient against central
 * differences (eps 1e-6, atol 1e-6, rtol 1e-4), the f32 gradient against the f64 one, that a second
 * call adds its gradient, and that neither a second run nor another number of threads changes a bit.
 * Where there is a GPU, its f32 values and gradients are held to the same bounds.
 * New memory is filled with NaN, so a kernel that reads before it writes is noticed.
 */
export async function checkOp(t: ExecutionContext, c: OpCase): Promise<void> {
  native((addon) => addon.setPoison(true));
  const values = c.inputs.map((input) => input?.values ?? []);
  const exact = await forward(c, values, exactly);
  const expected = c.reference?.(values) ?? exact;
  expected.forEach((row, i) => close(t, exact[i]!, row, 1e-9, 1e-9, `f64 output ${i}`));
  await checkThreads(t, c, values, await checkSingle(t, c, values, expected, single));
  const gradient = c.gradient !== false ? await checkGradient(t, c, values) : undefined;
  if (!hasGpuKernel(c.op)) return;
  await checkSingle(t, c, values, expected, onGpu);
  if (gradient) await checkSingleGradient(t, c, values, gradient, onGpu);
}

/** The f32 values on a device: near the definition, with the same bits in a second run. */
async function checkSingle(
  t: ExecutionContext,
  c: OpCase,
  values: number[][],
  expected: number[][],
  at: Place,
): Promise<number[][]> {
  const tolerance = c.tolerance ?? 1e-5;
  const got = await forward(c, values, at);
  expected.forEach((row, i) =>
    close(t, got[i]!, row, tolerance, tolerance, `f32 output ${i} on ${at.device}`),
  );
  t.deepEqual(await forward(c, values, at), got, `a second run has the same bits on ${at.device}`);
  return got;
}

async function checkThreads(
  t: ExecutionContext,
  c: OpCase,
  values: number[][],
  first: number[][],
): Promise<void> {
  const threads = native((addon) => addon.threads());
  for (const count of [1, 3]) {
    native((addon) => addon.setThreads(count));
    t.deepEqual(await forward(c, values, single), first, `${count} threads give the same bits`);
  }
  native((addon) => addon.setThreads(threads));
}

/** The f32 gradient on a device: near the f64 one, with the same bits again, and adding up. */
async function checkSingleGradient(
  t: ExecutionContext,
  c: OpCase,
  values: number[][],
  exact: (number[] | undefined)[],
  at: Place,
): Promise<void> {
  const got = await gradients(c, values, at, 1);
  const again = await gradients(c, values, at, 1);
  t.deepEqual(again, got, `the gradient has the same bits again on ${at.device}`);
  const doubled = await gradients(c, values, at, 2);
  for (const [i, gradient] of exact.entries()) {
    if (!gradient) continue;
    const bound = 1e-5 * Math.max(1e-3, ...gradient.map(Math.abs));
    const what = `f32 gradient of input ${i} on ${at.device}`;
    close(t, got[i]!, gradient, bound, 1e-4, what);
    const twice = gradient.map((g) => 2 * g);
    close(t, doubled[i]!, twice, 2 * bound, 1e-4, `accumulated ${what}`);
  }
}

async function checkGradient(
  t: ExecutionContext,
  c: OpCase,
  values: number[][],
): Promise<(number[] | undefined)[]> {
  const exact = await gradients(c, values, exactly, 1);
  const doubled = await gradients(c, values, exactly, 2);
  for (const [i, gradient] of exact.entries()) {
    const input = c.inputs[i];
    const expected = input && !input.dtype && input.differentiable !== false;
    t.is(gradient !== undefined, !!expected, `input ${i} has a gradient`);
    if (!gradient) continue;
    const numeric: number[] = [];
    for (let j = 0; j < gradient.length; j++) {
      const at = (delta: number) =>
        objectiveAt(
          c,
          values.map((row, k) => (k === i ? row.with(j, row[j]! + delta) : row)),
        );
      numeric.push(((await at(step)) - (await at(-step))) / (2 * step));
    }
    close(t, gradient, numeric, 1e-6, 1e-4, `gradient of input ${i}`);
    close(
      t,
      doubled[i]!,
      gradient.map((g) => 2 * g),
      1e-9,
      1e-9,
      `accumulated gradient of input ${i}`,
    );
  }
  await checkSingleGradient(t, c, values, exact, single);
  return exact;
}
