// The one way an op is tested: value, gradient, determinism, and gradients that add up.
import type { ExecutionContext } from 'ava';
import { native } from '../../lib/native.js';
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
  /** Off for indices and for inputs without a gradient. @default true */
  differentiable?: boolean;
  dtype?: 'i32' | 'u8';
}

export interface OpCase {
  op: string;
  inputs: (Input | undefined)[];
  attrs?: Record<string, number | readonly number[]>;
  /** The visible outputs in plain float64 arithmetic: the definition the kernels must meet. */
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

function place(inputs: OpCase['inputs'], values: number[][], dtype: Real): (Tensor | undefined)[] {
  return inputs.map((input, i) => input && tensor(values[i]!, input.shape, input.dtype ?? dtype));
}

function objective(made: Tensor[], which: number[] | undefined): Tensor {
  const real = made.filter((y, i) =>
    which ? which.includes(i) : y.dtype === 'f32' || y.dtype === 'f64',
  );
  const terms = real.map((y) => dot(y, tensor(upstream(y.size), y.shape, y.dtype)));
  return weightedSum(
    terms,
    terms.map(() => 1),
  );
}

async function forward(c: OpCase, values: number[][], dtype: Real): Promise<number[][]> {
  const made = scope(() => call(c.op, place(c.inputs, values, dtype), c.attrs));
  const read = await Promise.all(made.map(async (y) => Array.from(await y.read())));
  for (const y of made) y.dispose();
  return read;
}

async function objectiveAt(c: OpCase, values: number[][]): Promise<number> {
  const loss = scope(() =>
    objective(call(c.op, place(c.inputs, values, 'f64'), c.attrs), c.outputs),
  );
  const value = await loss.item();
  loss.dispose();
  return value;
}

/** Gradients of the objective; `times` > 1 calls the op that often, so gradients must accumulate. */
async function gradients(
  c: OpCase,
  values: number[][],
  dtype: Real,
  times: number,
): Promise<(number[] | undefined)[]> {
  const found = scope(() => {
    const inputs = place(c.inputs, values, dtype);
    const wanted = inputs.map((x, i) =>
      x && c.inputs[i]!.differentiable !== false && !c.inputs[i]!.dtype ? watch(x) : undefined,
    );
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
 * New memory is filled with NaN, so a kernel that reads before it writes is noticed.
 */
export async function checkOp(t: ExecutionContext, c: OpCase): Promise<void> {
  native((addon) => addon.setPoison(true));
  const values = c.inputs.map((input) => input?.values ?? []);
  const tolerance = c.tolerance ?? 1e-5;
  const exact = await forward(c, values, 'f64');
  const single = await forward(c, values, 'f32');
  const expected = c.reference?.(values) ?? exact;
  expected.forEach((row, i) => close(t, exact[i]!, row, 1e-9, 1e-9, `f64 output ${i}`));
  expected.forEach((row, i) => close(t, single[i]!, row, tolerance, tolerance, `f32 output ${i}`));
  await checkBits(t, c, values, single);
  if (c.gradient !== false) await checkGradient(t, c, values);
}

async function checkBits(
  t: ExecutionContext,
  c: OpCase,
  values: number[][],
  first: number[][],
): Promise<void> {
  t.deepEqual(await forward(c, values, 'f32'), first, 'a second run has the same bits');
  const threads = native((addon) => addon.threads());
  for (const count of [1, 3]) {
    native((addon) => addon.setThreads(count));
    t.deepEqual(await forward(c, values, 'f32'), first, `${count} threads give the same bits`);
  }
  native((addon) => addon.setThreads(threads));
}

async function checkGradient(t: ExecutionContext, c: OpCase, values: number[][]): Promise<void> {
  const exact = await gradients(c, values, 'f64', 1);
  const doubled = await gradients(c, values, 'f64', 2);
  const single = await gradients(c, values, 'f32', 1);
  t.deepEqual(await gradients(c, values, 'f32', 1), single, 'the gradient has the same bits again');
  for (const [i, gradient] of exact.entries()) {
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
    const largest = Math.max(1e-3, ...gradient.map(Math.abs));
    close(t, single[i]!, gradient, 1e-5 * largest, 1e-4, `f32 gradient of input ${i}`);
  }
}
