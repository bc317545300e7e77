import { native } from '../native.js';
import { Tensor } from './tensor.js';

/** All tensors inside nested arrays, plain objects and maps. */
function* tensorsIn(value: unknown): Generator<Tensor> {
  if (value instanceof Tensor) yield value;
  else if (Array.isArray(value)) for (const item of value) yield* tensorsIn(item);
  else if (value instanceof Map) for (const item of value.values()) yield* tensorsIn(item);
  else if (
    value !== null &&
    typeof value === 'object' &&
    Object.getPrototypeOf(value) === Object.prototype
  ) {
    for (const item of Object.values(value)) yield* tensorsIn(item);
  }
}

/**
 * Runs `body` and frees every tensor made in it, except those in what it returns (also inside
 * arrays, maps and plain objects). `body` is synchronous: op calls do not wait, so a whole training
 * step fits in one scope, and only the reading of its losses is awaited, outside.
 */
export function scope<Result>(body: () => Result): Result {
  const opened = native((addon) => addon.openScope());
  let keep: number[] = [];
  try {
    const result = body();
    if (result instanceof Promise) throw new TypeError('scope: the body must not be asynchronous');
    keep = Array.from(tensorsIn(result), (tensor) => tensor.id);
    return result;
  } finally {
    native((addon) => addon.closeScope(opened, keep));
  }
}

/** Runs `body` without recording gradients, as for a teacher or an evaluation. */
export function unrecorded<Result>(body: () => Result): Result {
  native((addon) => addon.pauseTape());
  try {
    return body();
  } finally {
    native((addon) => addon.resumeTape());
  }
}
