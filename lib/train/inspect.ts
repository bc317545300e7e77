// What is looked at during a run: copies among the prototypes and the spread of the assignments.
import { type Normalisation, type PictureCache, plainBatch } from '../data/index.js';
import {
  findUnique,
  type MlcdReport,
  mlcdReport,
  reportOf,
  type UniqueReport,
} from '../diagnose/index.js';
import type { Dino } from '../ssl/index.js';
import { prototypeMarginal, scope, tensor, unrecorded } from '../tensor/index.js';

export interface Inspection {
  teacher: UniqueReport;
  studentUnique: number;
  mlcd: MlcdReport | null;
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

const batchRows = 64;

/** Mean over plain views of the teacher's assignments, centred as in training; before they are balanced where
 * that is done batch by batch: (K). */
async function marginalOf(method: Dino, options: InspectOptions): Promise<Float64Array> {
  const { cache, rows, size, normalisation, teacherTemperature: temperature } = options;
  const sum = new Float64Array(method.config.head.prototypes);
  let count = 0;
  for (let begin = 0; begin < rows.length; begin += batchRows) {
    const plain = await plainBatch(
      cache,
      rows.slice(begin, begin + batchRows),
      size,
      normalisation,
    );
    if (!plain.rows.length) continue;
    const marginal = scope(() =>
      unrecorded(() => {
        const images = tensor(plain.values, [plain.rows.length, 3, size, size]);
        const rows = method.teacherRows(images, temperature);
        const bias = method.targets.ofBatch ? rows.bias : method.targets.bias(rows);
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
export async function inspect(method: Dino, options: InspectOptions): Promise<Inspection> {
  const { epsilon } = options;
  const teacher = await findUnique(method.teacher.head.directions, { epsilon });
  const student = await findUnique(method.student.head.directions, { epsilon });
  const mlcd = options.rows.length
    ? mlcdReport(await marginalOf(method, options), teacher.group, teacher.unique)
    : null;
  return { teacher: reportOf(teacher), studentUnique: student.unique, mlcd };
}
