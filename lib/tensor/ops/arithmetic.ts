import { call } from '../call.js';
import type { Tensor } from '../tensor.js';

/** A copy of x. */
export const identity = (x: Tensor): Tensor => call('identity', [x])[0]!;

/** Σ weights_i x_i over tensors of one shape. */
export const weightedSum = (terms: readonly Tensor[], weights: readonly number[]): Tensor =>
  call('weighted_sum', terms, { weights })[0]!;

/** a + b, one shape. */
export const add = (a: Tensor, b: Tensor): Tensor => weightedSum([a, b], [1, 1]);

/** Σ_i a_i b_i, a scalar. */
export const dot = (a: Tensor, b: Tensor): Tensor => call('dot', [a, b])[0]!;

/** log x, where x is at least the smallest normal number: x log x is 0 at 0, and so is its gradient. */
export const log = (x: Tensor): Tensor => call('log', [x])[0]!;

/** The mean over the rows of x (B, D): (D). */
export const meanRows = (x: Tensor): Tensor => call('mean_rows', [x])[0]!;

/** [x_0; x_1; ...] along the first dimension of (B_i, D). */
export const concatRows = (parts: readonly Tensor[]): Tensor => call('concat_rows', parts)[0]!;

/** x[begin : end] along the first dimension. */
export const sliceRows = (x: Tensor, begin: number, end: number): Tensor =>
  call('slice_rows', [x], { begin, end })[0]!;

/** Rows of x (R, D) by index (M) i32: (M, D). An index out of range is an error when the op runs. */
export const gatherRows = (x: Tensor, index: Tensor): Tensor => call('gather_rows', [x, index])[0]!;

/** x, whose gradient through this place is clipped to a norm of `limit` > 0. */
export const limitGradient = (x: Tensor, limit: number): Tensor =>
  call('limit_gradient', [x], { limit })[0]!;

/** Which stream of random numbers; see native/core/random.h. */
export interface RandomKey {
  seed: number;
  epoch: number;
  sample: number;
  purpose: number;
}

/** x + scale n with independent standard normal n, a pure function of the key. */
export const addNoise = (x: Tensor, scale: number, key: RandomKey): Tensor =>
  call('add_noise', [x], { scale, ...key })[0]!;
