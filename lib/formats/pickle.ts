// Reads Python pickles without running anything: an interpreter of the data opcodes, in which the only
// callables are those that the caller lists.
import { ProteaError } from '../error.js';

/** What a listed global does when the pickle calls it. Anything else in a pickle is plain data. */
export type Callable = (args: readonly unknown[]) => unknown;

export interface PickleOptions {
  /** Named in errors. */
  file: string;
  /** The callable of a global, or undefined: it is refused. */
  global(module: string, name: string): unknown;
  persistent?(id: unknown): unknown;
}

/** A Python object by its attributes. A dict is a plain Map: attributes that it may have are left out. */
export class PickledObject extends Map<unknown, unknown> {}

/** The pickle goes on beyond the bytes at hand. */
export class PickleTruncated extends Error {}

const mark = Symbol('mark');
const maxDepth = 1 << 20;
const maxIntegerBytes = 64;
const maxDigits = 64;
/** Operations that even a short pickle may have. */
const spareOperations = 1 << 20;

/**
 * One pickle from `bytes`, from `start` on. Dicts and objects become Maps, tuples and lists arrays.
 * @throws ERR_PROTEA_PICKLE_FORBIDDEN for a global that is not listed, with its offset
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT for anything malformed; PickleTruncated at the end of the bytes
 */
export function readPickle(
  bytes: Uint8Array,
  options: PickleOptions,
  start = 0,
): { value: unknown; end: number } {
  const reader = new PickleReader(bytes, options, start);
  return { value: reader.run(), end: reader.at };
}

class PickleReader {
  at: number;
  private readonly view: DataView;
  private stack: unknown[] = [];
  private spent = 0;
  private readonly memo = new Map<number, unknown>();

  constructor(
    private readonly bytes: Uint8Array,
    private readonly options: PickleOptions,
    start: number,
  ) {
    this.at = start;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Values take more memory than their bytes, so there is a limit on how many a pickle may make. */
  run(): unknown {
    for (;;) {
      const offset = this.at;
      this.spend(1);
      const code = this.bytes[this.take(1)]!;
      if (code === 0x2e) return this.pop();
      const operation = operations[code];
      if (!operation) this.fail(`opcode 0x${code.toString(16)} at ${offset} is not known`);
      operation(this);
      if (this.stack.length > maxDepth) this.fail(`more than ${maxDepth} values wait at ${offset}`);
    }
  }

  /** Counts values that are made or copied against the limit. */
  private spend(values: number): void {
    this.spent += values;
    if (this.spent > spareOperations + this.bytes.length / 4)
      this.fail(`makes more values than its size allows, at ${this.at}`);
  }

  fail(what: string): never {
    throw new ProteaError('ERR_PROTEA_CHECKPOINT_FORMAT', `${this.options.file}: ${what}`, {
      hint: 'The file is damaged, or not a checkpoint.',
    });
  }

  /** Moves over n bytes; returns where they begin. */
  take(n: number): number {
    const begin = this.at;
    if (begin + n > this.bytes.length) throw new PickleTruncated();
    this.at += n;
    return begin;
  }

  u8 = () => this.view.getUint8(this.take(1));
  u16 = () => this.view.getUint16(this.take(2), true);
  u32 = () => this.view.getUint32(this.take(4), true);
  i32 = () => this.view.getInt32(this.take(4), true);
  u64 = () => Number(this.view.getBigUint64(this.take(8), true));
  f64 = () => this.view.getFloat64(this.take(8), false);
  raw = (n: number) => this.bytes.subarray(this.take(n), this.at);
  text = (n: number) => new TextDecoder().decode(this.raw(n));
  latin = (n: number) => Buffer.from(this.raw(n)).toString('latin1');

  line(most = Number.POSITIVE_INFINITY): string {
    const end = this.bytes.indexOf(10, this.at);
    if (end < 0) throw new PickleTruncated();
    if (end - this.at > most) this.fail(`a number of ${end - this.at} digits at ${this.at}`);
    const text = this.text(end - this.at);
    this.at += 1;
    return text;
  }

  /** A little-endian two's complement number; exact as a number or as a bigint. */
  long(n: number): number | bigint {
    const digits = this.raw(n);
    if (n > maxIntegerBytes) this.fail(`an integer of ${n} bytes`);
    let value = 0n;
    for (let i = n - 1; i >= 0; i--) value = (value << 8n) | BigInt(digits[i]!);
    if (n && digits[n - 1]! & 0x80) value -= 1n << BigInt(8 * n);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  push(value: unknown): void {
    this.stack.push(value);
  }

  pop(): unknown {
    if (!this.stack.length) this.fail(`nothing to take at ${this.at}`);
    const value = this.stack.pop();
    if (value === mark) this.fail(`a mark where a value should be, at ${this.at}`);
    return value;
  }

  drop(): void {
    this.stack.pop();
  }

  top(): unknown {
    if (!this.stack.length) this.fail(`nothing to look at, at ${this.at}`);
    return this.stack.at(-1);
  }

  popMark(): unknown[] {
    const begin = this.stack.lastIndexOf(mark);
    if (begin < 0) this.fail(`no mark at ${this.at}`);
    const items = this.stack.slice(begin + 1);
    this.stack.length = begin;
    return items;
  }

  put(index: number): void {
    this.memo.set(index, this.top());
  }

  memoize(): void {
    this.put(this.memo.size);
  }

  get(index: number): void {
    if (!this.memo.has(index)) this.fail(`memo ${index} at ${this.at} was never set`);
    this.push(this.memo.get(index));
  }

  append(items: readonly unknown[]): void {
    const list = this.top();
    if (Array.isArray(list)) for (const item of items) list.push(item);
    else if (list instanceof Set) for (const item of items) list.add(item);
    else this.fail(`a list should be at ${this.at}`);
  }

  setItems(items: readonly unknown[]): void {
    const dict = this.top();
    if (!(dict instanceof Map) || items.length % 2) this.fail(`a dict should be at ${this.at}`);
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }

  global(module: unknown, name: unknown): void {
    if (typeof module !== 'string' || typeof name !== 'string')
      this.fail(`a global whose name is no text, at ${this.at}`);
    const found = this.options.global(module, name);
    if (found === undefined)
      throw new ProteaError(
        'ERR_PROTEA_PICKLE_FORBIDDEN',
        `${this.options.file}: asks for ${module}.${name} at ${this.at}, which could run code`,
        { hint: 'Nothing was run. Save the tensors alone, as safetensors or a plain state dict.' },
      );
    this.push(found);
  }

  /** REDUCE and NEWOBJ. */
  call(): void {
    const args = this.pop();
    const callee = this.pop();
    if (typeof callee !== 'function' || !Array.isArray(args))
      this.fail(`a call of something that is no listed global, at ${this.at}`);
    if (Array.isArray(args[0])) this.spend(args[0].length);
    this.push((callee as Callable)(args));
  }

  build(): void {
    const state = this.pop();
    const self = this.top();
    if (typeof self !== 'object' || self === null)
      this.fail(`a state for something that takes none, at ${this.at}`);
    if (self instanceof PickledObject && state instanceof Map)
      for (const [key, value] of state) self.set(key, value);
  }

  persistent(id: unknown): void {
    if (!this.options.persistent) this.fail(`a persistent id at ${this.at}`);
    this.push(this.options.persistent(id));
  }
}

type Operation = (r: PickleReader) => void;

const literals: Record<number, Operation> = {
  128: (r) => {
    if (r.u8() > 5) r.fail(`a protocol above 5 at ${r.at - 1}`);
  },
  149: (r) => void r.u64(),
  78: (r) => r.push(null),
  136: (r) => r.push(true),
  137: (r) => r.push(false),
  73: (r) => {
    const text = r.line(maxDigits);
    r.push(text === '00' ? false : text === '01' ? true : Number(text));
  },
  76: (r) => r.push(Number(r.line(maxDigits).replace(/L$/, ''))),
  70: (r) => r.push(Number(r.line(maxDigits))),
  74: (r) => r.push(r.i32()),
  75: (r) => r.push(r.u8()),
  77: (r) => r.push(r.u16()),
  71: (r) => r.push(r.f64()),
  138: (r) => r.push(r.long(r.u8())),
  139: (r) => r.push(r.long(r.u32())),
  83: (r) => r.push(r.line().slice(1, -1)),
  86: (r) => r.push(r.line()),
  84: (r) => r.push(r.latin(r.u32())),
  85: (r) => r.push(r.latin(r.u8())),
  88: (r) => r.push(r.text(r.u32())),
  140: (r) => r.push(r.text(r.u8())),
  141: (r) => r.push(r.text(r.u64())),
  66: (r) => r.push(r.raw(r.u32()).slice()),
  67: (r) => r.push(r.raw(r.u8()).slice()),
  142: (r) => r.push(r.raw(r.u64()).slice()),
};

const containers: Record<number, Operation> = {
  40: (r) => r.push(mark),
  48: (r) => r.drop(),
  49: (r) => void r.popMark(),
  50: (r) => r.push(r.top()),
  125: (r) => r.push(new Map()),
  93: (r) => r.push([]),
  41: (r) => r.push([]),
  143: (r) => r.push(new Set()),
  116: (r) => r.push(r.popMark()),
  108: (r) => r.push(r.popMark()),
  133: (r) => r.push([r.pop()]),
  134: (r) => r.push([r.pop(), r.pop()].reverse()),
  135: (r) => r.push([r.pop(), r.pop(), r.pop()].reverse()),
  100: (r) => {
    const items = r.popMark();
    r.push(new Map());
    r.setItems(items);
  },
  97: (r) => r.append([r.pop()]),
  101: (r) => r.append(r.popMark()),
  144: (r) => r.append(r.popMark()),
  115: (r) => r.setItems([r.pop(), r.pop()].reverse()),
  117: (r) => r.setItems(r.popMark()),
};

const references: Record<number, Operation> = {
  103: (r) => r.get(Number(r.line(maxDigits))),
  104: (r) => r.get(r.u8()),
  106: (r) => r.get(r.u32()),
  112: (r) => r.put(Number(r.line(maxDigits))),
  113: (r) => r.put(r.u8()),
  114: (r) => r.put(r.u32()),
  148: (r) => r.memoize(),
  99: (r) => r.global(r.line(), r.line()),
  147: (r) => {
    const name = r.pop();
    r.global(r.pop(), name);
  },
  105: (r) => {
    const [module, name] = [r.line(), r.line()];
    const args = r.popMark();
    r.global(module, name);
    r.push(args);
    r.call();
  },
  82: (r) => r.call(),
  129: (r) => r.call(),
  98: (r) => r.build(),
  80: (r) => r.persistent(r.line()),
  81: (r) => r.persistent(r.pop()),
};

const operations: Record<number, Operation> = { ...literals, ...containers, ...references };
