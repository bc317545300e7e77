import { native } from '../native.js';
import { Tensor } from './tensor.js';

/** Lets gradients flow to `parameter` (f32 or f64), from the next op call on. Returns it. */
export function watch(parameter: Tensor): Tensor {
  native((addon) => addon.watch(parameter.id));
  return parameter;
}

/**
 * The gradients of the scalar `loss` with respect to `parameters`, in their order; undefined where
 * none arrives. Walks what was recorded once and forgets it, so it can be called once per forward.
 */
export function backward(loss: Tensor, parameters: readonly Tensor[]): (Tensor | undefined)[] {
  const ids = parameters.map((parameter) => parameter.id);
  const found = native((addon) => addon.backward(loss.id, ids));
  return found.map((made) => (made ? new Tensor(made) : undefined));
}
