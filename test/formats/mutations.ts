// Damaged files for the readers: a seed of the corpus and some edits, drawn and shrunk by fast-check.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { ProteaError } from '../../lib/error.js';
import { openTensorFile } from '../../lib/formats/tensor-file.js';
import { packageRoot } from '../../lib/native.js';

/** Small files of every format, made by scripts/make-corpus.mjs. */
export const corpusFolder = join(packageRoot(), 'test', 'formats', 'corpus');

const seeds = () =>
  readdirSync(corpusFolder)
    .sort()
    .map((name) => readFileSync(join(corpusFolder, name)));

type Edit = { kind: number; at: number; to: number; length: number };

const edit = fc.record({
  kind: fc.nat(6),
  at: fc.nat(0xffffff),
  to: fc.nat(0xffffff),
  length: fc.nat(16),
});

/** Numbers that readers trip over: sizes near the limits of their types. */
const numbers = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 0x80000000];

function apply(bytes: Buffer, { kind, at: place, to, length }: Edit): Buffer {
  if (!bytes.length) return bytes;
  const at = place % bytes.length;
  if (kind === 0) bytes[at] = to;
  else if (kind === 1) bytes[at]! ^= 1 << (to % 8);
  else if (kind === 2) bytes.copy(bytes, at, to % bytes.length, (to % bytes.length) + length);
  else if (kind === 3) return bytes.subarray(0, at);
  else if (kind === 4)
    return Buffer.concat([
      bytes.subarray(0, at),
      bytes.subarray(Math.min(bytes.length, at + length)),
    ]);
  else if (kind === 5)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to % bytes.length)]);
  else if (at + 4 <= bytes.length) bytes.writeUInt32LE(numbers[to % numbers.length]!, at);
  return bytes;
}

export const damagedFile = (): fc.Arbitrary<Buffer> => {
  const files = seeds();
  return fc
    .tuple(fc.nat(files.length - 1), fc.array(edit, { minLength: 1, maxLength: 5 }))
    .map(([seed, edits]) => edits.reduce(apply, Buffer.from(files[seed]!)));
};

const mostTensors = 64;

/**
 * Reads a file as a user would. True when it is still a file of tensors, false when it is refused with
 * a type; anything else is an error of the reader.
 */
export async function survives(path: string, bytes: Uint8Array): Promise<boolean> {
  writeFileSync(path, bytes);
  try {
    const file = await openTensorFile(path);
    try {
      for (const name of file.names.slice(0, mostTensors)) {
        const { values, shape } = await file.read(name);
        const count = shape.reduce((a, b) => a * b, 1);
        if (values.length !== count)
          throw new Error(`${name}: ${values.length} values, not ${count}`);
      }
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (!(error instanceof ProteaError) || !error.message.includes(path)) throw error;
    return false;
  }
}
