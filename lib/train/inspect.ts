// What is looked at during a run: copies among the prototypes and the spread of the assignments.
import { type Normalisation, type PictureCache, plainBatch } from '../data/index.js';
import {
  findUnique,
  type MlcdReport,
  mlcdReport,
  reportOf,
  type UniqueReport,
} from '../diagnose/index.js';
import { type HeadName, type Method, patchTokens, type Seen } from '../ssl/index.js';
import {
  prototypeMarginal,
  scope,
  type Tensor,
  takeToken,
  tensor,
  unrecorded,
} from '../tensor/index.js';

export interface Inspection {
  teacher: UniqueReport;
  studentUnique: number;
  mlcd: MlcdReport | null;
  /** Of the teacher's other heads, by name. */
  others: Record<string, UniqueReport>;
}

export interface InspectOptions {
  epsilon: number;
  teacherTemperature: number;
  cache: PictureCache;
  /** Rows of the data set over which the assignments are averaged. */
  rows: readonly number[];
  size: number;
  normalisation: Normalisation;
}

const mostInBatch = 64;

/** Parts of `rows` of almost the same size: a last part of one would have no statistics for batch norm. */
export function batchesOf(rows: readonly number[]): number[][] {
  const count = Math.ceil(rows.length / mostInBatch);
  const edge = (i: number) => Math.round((i * rows.length) / count);
  return Array.from({ length: count }, (_, i) => rows.slice(edge(i), edge(i + 1)));
}

/** The teacher's bottleneck vectors of the CLS tokens, or of every patch. */
export function vectorsOf({ teacher }: Method, kind: HeadName, images: Tensor): Tensor {
  const tokens = teacher.backbone.forward(images);
  const seen: Seen = { tokens, features: takeToken(tokens, 0) };
  if (kind === 'cls') return teacher.head.bottleneck(seen.features);
  const patches = tokens.shape[1]! - 1 - teacher.config.backbone.registers;
  const every = Array.from({ length: images.shape[0]! * patches }, (_, i) => i);
  return teacher.patchHead.bottleneck(patchTokens(seen, every, patches));
}

/** Mean over plain views of the teacher's assignments, centred as in training; before they are balanced where
 * that is done batch by batch: (K). */
async function marginalOf(method: Method, options: InspectOptions): Promise<Float64Array> {
  const { cache, rows, size, normalisation, teacherTemperature: temperature } = options;
  const main = method.prototypesHead(method.recipe.main.tokens);
  const sum = new Float64Array(method.teacher.headOf(main).config.prototypes);
  let count = 0;
  for (const batch of batchesOf(rows)) {
    const plain = await plainBatch(cache, batch, size, normalisation);
    if (!plain.rows.length) continue;
    const marginal = scope(() =>
      unrecorded(() => {
        const images = tensor(plain.values, [plain.rows.length, 3, size, size]);
        const { tokens } = method.recipe.main;
        const z = vectorsOf(method, tokens, images);
        const rows = { z, ...method.teacherSide(tokens, temperature) };
        const targets = method.targets.get(tokens)!;
        const bias = targets.ofBatch ? rows.bias : targets.bias(rows);
        return prototypeMarginal({ ...rows, bias });
      }),
    );
    const values = await marginal.read();
    marginal.dispose();
    for (let k = 0; k < sum.length; k++) sum[k]! += values[k]! * plain.rows.length;
    count += plain.rows.length;
  }
  return sum.map((value) => value / count);
}

/** Counts unique prototypes of teacher and student and measures the MLCD over some images. */
export async function inspect(method: Method, options: InspectOptions): Promise<Inspection> {
  const { epsilon } = options;
  const main = method.prototypesHead(method.recipe.main.tokens);
  const teacher = await findUnique(method.teacher.headOf(main).directions, { epsilon });
  const student = await findUnique(method.student.headOf(main).directions, { epsilon });
  const others: Record<string, UniqueReport> = {};
  for (const head of method.heads.filter((name) => name !== main))
    others[head] = reportOf(await findUnique(method.teacher.headOf(head).directions, { epsilon }));
  const mlcd = options.rows.length
    ? mlcdReport(await marginalOf(method, options), teacher.group, teacher.unique)
    : null;
  return { teacher: reportOf(teacher), studentUnique: student.unique, mlcd, others };
}
