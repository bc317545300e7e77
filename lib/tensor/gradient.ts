import { native } from '../native.js';
import { callBackward } from './call.js';
import type { Tensor } from './tensor.js';

/** Lets gradients flow to `parameter` (f32 or f64), from the next op call on. Returns it. */
export function watch(parameter: Tensor): Tensor {
  native((addon) => addon.watch(parameter.id));
  return parameter;
}

/**
 * The gradients of the scalar `loss` with respect to `parameters`, in their order; undefined where
 * none arrives. Walks what was recorded once and forgets it, so it can be called once per forward.
 */
export const backward: (loss: Tensor, parameters: readonly Tensor[]) => (Tensor | undefined)[] =
  callBackward;
