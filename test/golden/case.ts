// Golden cases: what index.json says of one, and its tensors from the safetensors file beside it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SafetensorsFile, valuesOf } from '../../lib/formats/safetensors.js';
import { packageRoot } from '../../lib/native.js';

export type Numbers = Float64Array | Float32Array | Int32Array | Uint8Array;

export interface GoldenTensor {
  shape: number[];
  values: Numbers;
}

interface TensorEntry {
  dtype: string;
  shape: number[];
  tolerance?: { atol: number; rtol: number };
  ignore_rows?: { rows: number[]; why: string };
}

// biome-ignore lint/suspicious/noExplicitAny: parameters are free-form JSON, read by the handler that knows the op
type Json = any;

export interface CaseEntry {
  id: string;
  group: string;
  op: string;
  params: Record<string, Json>;
  expected?: Json;
  file?: string;
  files?: Json;
  tensors: Record<string, TensorEntry>;
}

/** A case with its inputs: `in.*` and `param.*`. Expected values stay with the runner. */
export interface GoldenCase {
  id: string;
  op: string;
  params: Record<string, Json>;
  /** The folder of index.json, for cases that name other files. */
  folder: string;
  entry: CaseEntry;
  /** A tensor by its full name, such as `in.x` or `param.mlp.0.weight`. */
  input(name: string): GoldenTensor;
  has(name: string): boolean;
  /** Full names of all tensors that begin with `prefix`. */
  names(prefix: string): string[];
}

/** What a handler computed: every `out.*` and `grad.*` tensor by full name, and `expected` as it stands in the index. */
export interface GoldenResult {
  tensors?: Record<string, ArrayLike<number>>;
  expected?: Json;
}

export type Handler = (c: GoldenCase) => Promise<GoldenResult>;

/** The folder of the golden vectors, or undefined in a checkout without them. */
export function goldenFolder(): string | undefined {
  const shared = process.env.PROTEA_SHARED ?? join(packageRoot(), '..', 'shared');
  const folder = process.env.PROTEA_GOLDEN ?? join(shared, 'golden');
  return existsSync(join(folder, 'index.json')) ? folder : undefined;
}

export function readIndex(folder: string): CaseEntry[] {
  return JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')).cases;
}

/** All tensors of a case's file, expected ones included. */
export async function readTensors(
  folder: string,
  entry: CaseEntry,
): Promise<Map<string, GoldenTensor>> {
  const tensors = new Map<string, GoldenTensor>();
  if (!entry.file?.endsWith('.safetensors')) return tensors;
  const file = await SafetensorsFile.open(join(folder, entry.file));
  for (const name of file.names) {
    const tensor = await file.read(name);
    tensors.set(name, { shape: [...tensor.shape], values: valuesOf(tensor) });
  }
  await file.close();
  return tensors;
}

/** Inputs are float32, however they are stored. */
const single = ({ shape, values }: GoldenTensor): GoldenTensor => ({
  shape,
  values: values instanceof Float64Array ? Float32Array.from(values) : values,
});

export function makeCase(
  folder: string,
  entry: CaseEntry,
  tensors: Map<string, GoldenTensor>,
): GoldenCase {
  const inputs = new Map(
    [...tensors].filter(([name]) => name.startsWith('in.') || name.startsWith('param.')),
  );
  return {
    id: entry.id,
    op: entry.op,
    params: entry.params ?? {},
    folder,
    entry,
    has: (name) => inputs.has(name),
    names: (prefix) => [...inputs.keys()].filter((name) => name.startsWith(prefix)),
    input: (name) => {
      const found = inputs.get(name);
      if (!found) throw new Error(`${entry.id} has no input ${name}`);
      return single(found);
    },
  };
}
