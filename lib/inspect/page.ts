import { diagnosisPage } from '../report/index.js';
import type { CheckpointDiagnosis, CheckpointReport } from './checkpoint.js';

/** A head's counts from checkpoint to checkpoint, in the order in which they were given. */
export interface Trend {
  head: string;
  points: {
    file: string;
    step: number | null;
    epoch: number | null;
    total: number;
    unique: number;
    largest: number;
    effectiveRank: number | null;
  }[];
}

/** How each head went over training: heads of the same name in all files that have them. */
export function trendOf(reports: readonly CheckpointReport[]): Trend[] {
  const names = [...new Set(reports.flatMap(({ heads }) => heads.map(({ name }) => name)))];
  return names.map((head) => ({
    head,
    points: reports.flatMap(({ file, step, epoch, heads }) =>
      heads
        .filter(({ name }) => name === head)
        .map(({ total, unique, redundancy, effectiveRank }) => ({
          file,
          step,
          epoch,
          total,
          unique,
          largest: redundancy.max,
          effectiveRank,
        })),
    ),
  }));
}

type Axis = 'step' | 'epoch';

/** Steps or epochs where every file tells them apart, or else the order of the files. */
function axisOf(reports: readonly CheckpointReport[]): Axis | undefined {
  return (['step', 'epoch'] as const).find((axis) => {
    const numbers = reports.map((report) => report[axis]);
    return numbers.every((n) => n !== null) && new Set(numbers).size === numbers.length;
  });
}

/** The page of the last of some checkpoints, with the way there where there are several. */
export function checkpointPage(diagnoses: readonly CheckpointDiagnosis[]): string {
  const { report, judged, extras } = diagnoses.at(-1)!;
  const reports = diagnoses.map((one) => one.report);
  const axis = axisOf(reports);
  const trend = trendOf(reports).map(({ head, points }) => ({
    head,
    points: points.map((point, i) => [axis ? point[axis]! : i + 1, point.unique] as const),
  }));
  const heads = report.heads.map((head) =>
    head === judged && extras
      ? {
          ...head,
          map: extras.map,
          ...(extras.shares ? { shares: extras.shares } : {}),
          busiest: extras.busiest,
          groups: head.groups.map((group, i) => ({ ...group, examples: extras.examples[i] ?? [] })),
        }
      : head,
  );
  return diagnosisPage({
    file: report.file,
    format: report.format,
    verdict: report.verdict,
    worst: judged.name,
    heads,
    ...(diagnoses.length > 1 ? { trend, trendAxis: axis ?? 'checkpoint, in the order given' } : {}),
  });
}
