import { ProteaError } from '../error.js';
import { type DeviceName, type DType, type Native, native } from '../native.js';
import { Tensor } from './tensor.js';

/** A setting of an op. */
export type Attribute = number | readonly number[] | Float64Array;

// Inputs and outputs of calls cross the boundary on a slate of numbers that both sides see: an op on
// a small tensor takes less time than Node takes to hand over an object.
let slate = new Float64Array(0);

/** Room for `count` numbers. */
function reserve(count: number): void {
  if (count <= slate.length) return;
  slate = new Float64Array(2 ** Math.ceil(Math.log2(Math.max(count, 1024))));
  native((addon) => addon.useSlate(slate));
}

const dtypes: readonly DType[] = ['f32', 'f64', 'i32', 'u8', 'bf16'];
const devices: readonly DeviceName[] = ['cpu', 'cuda'];

/** A tensor is described by id, dtype, device, rank and at most this many dims. */
const mostDims = 8;
const mostNumbers = 4 + mostDims;
const mostOutputs = 16;

/** Reads `count` tensors from the slate. */
function taken(count: number): (Tensor | undefined)[] {
  let at = 0;
  return Array.from({ length: count }, () => {
    const id = slate[at++]!;
    if (id === 0) return undefined;
    const dtype = dtypes[slate[at++]!]!;
    const device = devices[slate[at++]!]!;
    const rank = slate[at++]!;
    const shape = Array.from(slate.subarray(at, at + rank));
    at += rank;
    return new Tensor({ id, shape, dtype, device });
  });
}

let numbers: Map<string, number> | undefined;

function numberOf(op: string): number {
  numbers ??= new Map(native((addon) => addon.ops()).map((name, i) => [name, i]));
  const found = numbers.get(op);
  if (found !== undefined) return found;
  throw new ProteaError('ERR_PROTEA_UNSUPPORTED', `[op] unknown op: ${op}`);
}

const signatures = new Map<string, number>();

function signatureOf(names: readonly string[]): number {
  const key = names.join();
  let found = signatures.get(key);
  if (found === undefined) {
    found = native((addon) => addon.names(names));
    signatures.set(key, found);
  }
  return found;
}

/** Writes attributes behind `at`: of each how many numbers, and the numbers. */
function writeAttributes(at: number, values: readonly Attribute[]): void {
  let to = at;
  for (const value of values) {
    if (typeof value === 'number') {
      slate[to++] = 1;
      slate[to++] = value;
    } else {
      slate[to++] = value.length;
      slate.set(value, to);
      to += value.length;
    }
  }
}

const lengthOf = (value: Attribute) => (typeof value === 'number' ? 1 : value.length);

/**
 * Calls a native op: the inputs it declares (undefined: not given) and its named numbers. Shapes
 * and dtypes are checked at once; the work runs later, in order. Gradients are recorded when an
 * input is tracked.
 */
export function call(
  op: string,
  inputs: readonly (Tensor | undefined)[],
  attrs: Record<string, Attribute> = {},
): Tensor[] {
  const names = Object.keys(attrs);
  const values = Object.values(attrs);
  const length = values.reduce<number>((sum, value) => sum + 1 + lengthOf(value), 0);
  reserve(Math.max(inputs.length + length, mostOutputs * mostNumbers));
  for (let i = 0; i < inputs.length; i++) slate[i] = inputs[i]?.id ?? 0;
  writeAttributes(inputs.length, values);
  const [number, signature] = [numberOf(op), signatureOf(names)];
  return taken(native((addon: Native) => addon.call(number, inputs.length, signature))) as Tensor[];
}

/** The gradients of `loss` with respect to `parameters`, in their order. */
export function callBackward(loss: Tensor, parameters: readonly Tensor[]): (Tensor | undefined)[] {
  reserve(parameters.length * mostNumbers);
  parameters.forEach((parameter, i) => {
    slate[i] = parameter.id;
  });
  native((addon) => addon.backward(loss.id, parameters.length));
  return taken(parameters.length);
}
