/** Stable codes of everything protea throws. */
export type ErrorCode =
  | 'ERR_PROTEA_NATIVE_LOAD'
  | 'ERR_PROTEA_BACKEND_UNAVAILABLE'
  | 'ERR_PROTEA_CONFIG'
  | 'ERR_PROTEA_DATA'
  | 'ERR_PROTEA_CHECKPOINT_FORMAT'
  | 'ERR_PROTEA_PICKLE_FORBIDDEN'
  | 'ERR_PROTEA_OUT_OF_MEMORY'
  | 'ERR_PROTEA_NUMERIC'
  | 'ERR_PROTEA_RUN_LOCKED'
  | 'ERR_PROTEA_WRITE'
  | 'ERR_PROTEA_ABORTED'
  | 'ERR_PROTEA_DISPOSED'
  | 'ERR_PROTEA_SHAPE'
  | 'ERR_PROTEA_DTYPE'
  | 'ERR_PROTEA_DEVICE'
  | 'ERR_PROTEA_CUDA'
  | 'ERR_PROTEA_UNSUPPORTED';

export interface ProteaErrorOptions extends ErrorOptions {
  /** What the caller can do about it, as one sentence. */
  hint?: string;
}

/** Every error protea throws. `code` is stable; `message` and `hint` are for people. */
export class ProteaError extends Error {
  override readonly name = 'ProteaError';
  readonly hint: string | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    { hint, ...options }: ProteaErrorOptions = {},
  ) {
    super(message, options);
    this.hint = hint;
  }
}

/** "Expected a number in [0, 1] for eps but received -3" */
export function invalid(name: string, expected: string, received: unknown): ProteaError {
  const shown = typeof received === 'string' ? `"${received}"` : String(received);
  return new ProteaError(
    'ERR_PROTEA_CONFIG',
    `Expected ${expected} for ${name} but received ${shown}`,
  );
}

/** Throws unless `value` is a finite number in `[low, high]`. */
export function checkNumber(name: string, value: unknown, low = -Infinity, high = Infinity): void {
  if (typeof value === 'number' && Number.isFinite(value) && value >= low && value <= high) return;
  throw invalid(name, `a number in [${low}, ${high}]`, value);
}

/** Throws unless `value` is a whole number in `[low, high]`. */
export function checkInteger(
  name: string,
  value: unknown,
  low: number,
  high = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return;
  throw invalid(
    name,
    high === Number.MAX_SAFE_INTEGER
      ? `a whole number >= ${low}`
      : `a whole number in [${low}, ${high}]`,
    value,
  );
}
