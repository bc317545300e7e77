import { call, type Tensor } from './tensor.js';

/** A copy of x. */
export const identity = (x: Tensor): Tensor => call('identity', [x])[0]!;

/** Σ weights_i x_i over tensors of one shape. */
export const weightedSum = (terms: readonly Tensor[], weights: readonly number[]): Tensor =>
  call('weighted_sum', terms, { weights })[0]!;

/** a + b, one shape. */
export const add = (a: Tensor, b: Tensor): Tensor => weightedSum([a, b], [1, 1]);

/** Σ_i a_i b_i, a scalar. */
export const dot = (a: Tensor, b: Tensor): Tensor => call('dot', [a, b])[0]!;

/** x (..., D), weight (K, D), bias (K) or none -> x weightᵀ + bias (..., K). */
export const linear = (x: Tensor, weight: Tensor, bias?: Tensor): Tensor =>
  call('linear', [x, weight, bias])[0]!;
