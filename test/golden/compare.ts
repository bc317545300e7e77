// |got - expected| <= atol + rtol |expected| for every element; integers exactly.
import type { CaseEntry, GoldenResult, GoldenTensor } from './case.js';

/** What differs from the golden values, in words; empty when all is within tolerance. */
export function differences(
  entry: CaseEntry,
  tensors: Map<string, GoldenTensor>,
  got: GoldenResult,
): string[] {
  const wrong: string[] = [];
  for (const name of Object.keys(entry.tensors ?? {}))
    if (!tensors.has(name)) wrong.push(`${name} stands in the index but not in the file`);
  for (const [name, { values, shape }] of tensors) {
    // A checkpoint's tensors are all expected ones.
    const isExpected = /^(out|grad)\./.test(name) || entry.op === 'checkpoint';
    if (!isExpected) continue;
    const actual = got.tensors?.[name];
    if (!actual) wrong.push(`${name} was not computed`);
    else if (isUnordered(entry, name))
      wrong.push(
        ...compareTensor(name, entry, shape, sorted(values, shape), sorted(actual, shape)),
      );
    else wrong.push(...compareTensor(name, entry, shape, values, actual));
  }
  if (entry.expected !== undefined) compareJson('expected', entry.expected, got.expected, wrong);
  return wrong;
}

/** The index does not say in which order the parameters' norms stand. */
const isUnordered = ({ op }: CaseEntry, name: string) =>
  op === 'adamw' && name === 'out.grad_norms';

/** Each row (..., columns) in rising order. */
function sorted(values: ArrayLike<number>, shape: readonly number[]): Float64Array {
  const result = Float64Array.from(values);
  const columns = shape.at(-1) ?? 1;
  for (let at = 0; at < result.length; at += columns) result.subarray(at, at + columns).sort();
  return result;
}

function compareTensor(
  name: string,
  entry: CaseEntry,
  shape: number[],
  expected: ArrayLike<number>,
  got: ArrayLike<number>,
): string[] {
  if (got.length !== expected.length)
    return [`${name} has ${got.length} values, expected ${expected.length}`];
  const { tolerance, ignore_rows: ignored, dtype } = entry.tensors[name] ?? { dtype: '' };
  const atol = tolerance?.atol ?? (dtype.startsWith('F') ? 1e-6 : 0);
  const rtol = tolerance?.rtol ?? (dtype.startsWith('F') ? 1e-5 : 0);
  const rowSize = expected.length / (shape[0] ?? 1);
  const skip = new Set(ignored?.rows);
  let worst = { excess: 0, text: '' };
  for (let i = 0; i < expected.length; i++) {
    if (skip.has(Math.floor(i / rowSize))) continue;
    const bound = atol + rtol * Math.abs(expected[i]!);
    const error = Math.abs(got[i]! - expected[i]!);
    if (error <= bound || Object.is(got[i], expected[i])) continue;
    const excess = Number.isNaN(error) ? Infinity : error - bound;
    if (excess > worst.excess)
      worst = {
        excess,
        text: `${name}[${i}] is ${got[i]}, expected ${expected[i]} within ${bound}`,
      };
  }
  return worst.text ? [worst.text] : [];
}

function compareJson(path: string, expected: unknown, got: unknown, wrong: string[]): void {
  if (typeof expected === 'number') {
    // A difference of nearly equal numbers, whose notes give it an absolute tolerance.
    const atol = path.endsWith('kl_to_uniform') ? 1e-5 : 1e-9;
    if (
      typeof got !== 'number' ||
      !(Math.abs(got - expected) <= atol + 1e-5 * Math.abs(expected))
    ) {
      wrong.push(`${path} is ${got}, expected ${expected}`);
    }
  } else if (Array.isArray(expected)) {
    if (!Array.isArray(got) || got.length !== expected.length)
      wrong.push(`${path} is ${JSON.stringify(got)}, expected a list of ${expected.length}`);
    else expected.forEach((item, i) => compareJson(`${path}[${i}]`, item, got[i], wrong));
  } else if (expected !== null && typeof expected === 'object') {
    for (const [key, value] of Object.entries(expected))
      compareJson(
        `${path}.${key}`,
        value,
        (got as Record<string, unknown> | undefined)?.[key],
        wrong,
      );
  } else if (expected !== got) {
    wrong.push(`${path} is ${got}, expected ${expected}`);
  }
}
