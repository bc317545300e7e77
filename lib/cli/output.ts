import { ProteaError } from '../error.js';

/** How a command talks: JSON lines on stdout for machines, text on stderr for people. */
export interface Output {
  json: boolean;
  /** An event for machines. */
  emit(event: object): void;
  /** A line for people. */
  say(line: string): void;
  /** A result for people, on stdout. */
  result(text: string): void;
}

export function output(json: boolean): Output {
  return {
    json,
    emit: (event) => {
      if (json) process.stdout.write(`${JSON.stringify(event)}\n`);
    },
    say: (line) => {
      if (!json) process.stderr.write(`${line}\n`);
    },
    result: (text) => {
      if (!json) process.stdout.write(`${text}\n`);
    },
  };
}

/** Tells machines and people what was left out. */
export const warner = (out: Output) => (message: string) => {
  out.emit({ event: 'warning', message });
  out.say(`warning: ${message}`);
};

/** Exit codes: see docs/cli.md. */
export const exitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  environment: 3,
  data: 4,
  collapse: 5,
  numeric: 6,
  interrupted: 130,
  terminated: 143,
} as const;

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof ProteaError)) return exitCode.failure;
  switch (error.code) {
    case 'ERR_PROTEA_CONFIG':
    case 'ERR_PROTEA_RUN_LOCKED':
      return exitCode.usage;
    case 'ERR_PROTEA_NATIVE_LOAD':
    case 'ERR_PROTEA_BACKEND_UNAVAILABLE':
    case 'ERR_PROTEA_CUDA':
      return exitCode.environment;
    case 'ERR_PROTEA_DATA':
    case 'ERR_PROTEA_CHECKPOINT_FORMAT':
    case 'ERR_PROTEA_PICKLE_FORBIDDEN':
      return exitCode.data;
    case 'ERR_PROTEA_NUMERIC':
      return exitCode.numeric;
    default:
      return exitCode.failure;
  }
}

/** Runs a command's body; a failure becomes one message, or the last JSON line, and an exit code. */
export async function run(json: boolean, body: (out: Output) => Promise<number>): Promise<void> {
  const out = output(json);
  try {
    process.exitCode = await body(out);
  } catch (error) {
    const known = error instanceof ProteaError ? error : undefined;
    const { message, stack } = error as Error;
    out.emit({
      event: 'error',
      code: known?.code ?? 'ERR_PROTEA_INTERNAL',
      message,
      hint: known?.hint ?? null,
    });
    out.say(known ? `error: ${message}` : `error: ${stack ?? message}`);
    if (known?.hint) out.say(`hint: ${known.hint}`);
    process.exitCode = exitCodeOf(error);
  }
}
