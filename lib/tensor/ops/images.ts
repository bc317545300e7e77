// From bytes to views.
import { call } from '../call.js';
import type { Tensor } from '../tensor.js';

export interface AugmentOptions {
  /** Side of the views. */
  size: number;
  /** Of the values in [0, 1], by channel. */
  mean: readonly number[];
  std: readonly number[];
  /** 23 numbers a view: its picture, its box and its changes, see docs/ops.md. */
  views: Float64Array | readonly number[];
}

/**
 * Views cut out of pictures, changed in whole 8-bit steps and normalised: pixels (n) u8, pictures
 * one after another -> (views, 3, size, size). @throws ERR_PROTEA_SHAPE for a box outside its picture
 */
export const augment = (pixels: Tensor, { size, mean, std, views }: AugmentOptions): Tensor =>
  call('augment', [pixels], { size, mean, std, views })[0]!;
