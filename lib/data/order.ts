import { native } from '../native.js';

const orderPurpose = 2;

/** The order of `count` samples in an epoch: a permutation that depends on (seed, epoch) alone. */
export function epochOrder(count: number, seed: number, epoch: number): Int32Array {
  const random = native((addon) => addon.uniforms(seed, epoch, 0, orderPurpose, count));
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random[i]! * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
