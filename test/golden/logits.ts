// The vectors give logits where the package takes bottleneck vectors and prototypes: with the identity
// for prototypes the two are the same.
import { linear, softmax, type Tensor, tensor, weightedSum } from '../../lib/tensor/index.js';
import type { GoldenCase } from './case.js';

type Precision = typeof Float32Array | typeof Float64Array;

export function identity(K: number, precision: Precision = Float32Array): Tensor {
  const values = new precision(K * K);
  for (let i = 0; i < K; i++) values[i * (K + 1)] = 1;
  return tensor(values, [K, K]);
}

/** Step `step` of an input (steps, ..., K), as rows of K. */
export function rowsOfStep(c: GoldenCase, name: string, step: number): Tensor {
  const { values, shape } = c.input(name);
  const K = shape.at(-1)!;
  const size = values.length / shape[0]!;
  return tensor(values.slice(step * size, (step + 1) * size), [size / K, K]);
}

/** An input (..., K) as rows of K. */
export function rowsOf(c: GoldenCase, name: string, precision: Precision = Float32Array): Tensor {
  const { values, shape } = c.input(name);
  const K = shape.at(-1)!;
  return tensor(precision.from(values), [values.length / K, K]);
}

/** softmax(z / temperature + bias), written down. */
export function probabilities(z: Tensor, temperature: number, bias: Tensor): Tensor {
  const rows = z.shape[0]!;
  const ones = tensor(Array(rows).fill(1), [rows, 1], bias.dtype);
  const shift = linear(ones, bias.reshape([bias.size, 1]));
  return softmax(weightedSum([z, shift], [1 / temperature, 1]));
}

/** Values of several steps, one after the other, by name. */
export class Collected {
  readonly tensors: Record<string, number[]> = {};

  async add(results: Record<string, Tensor>): Promise<void> {
    for (const [name, value] of Object.entries(results)) {
      this.tensors[name] ??= [];
      for (const x of await value.read()) this.tensors[name]!.push(x);
      value.dispose();
    }
  }
}
