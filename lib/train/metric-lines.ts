// Events as lines of metrics.jsonl: flat keys with slashes.
import type { DiagnosisEvent, StepEvent } from './events.js';
import type { Metrics } from './run-folder.js';

/** "koleoProto" as "koleo_proto". */
export const snakeCase = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const stamped = (step: number) => ({ _step: step, _timestamp: Date.now() / 1000 });

export const stepMetrics = (event: StepEvent): Metrics => ({
  ...stamped(event.step),
  'train/loss': event.loss,
  ...Object.fromEntries(
    Object.entries(event.losses).map(([name, value]) => [`train/${snakeCase(name)}`, value]),
  ),
  'train/lr': event.lr,
  'train/gradient_norm': event.gradientNorm,
  'sys/img_per_s': event.imagesPerSecond,
  'sys/data_wait': event.dataWait,
});

export const diagnosisMetrics = (event: DiagnosisEvent): Metrics => ({
  ...stamped(event.step),
  'diag/unique_teacher': event.prototypes.unique,
  'diag/unique_student': event.studentUnique,
  'diag/mlcd_entropy': event.mlcd?.all.entropy ?? null,
  'diag/mlcd_entropy_unique': event.mlcd?.unique.entropy ?? null,
  'diag/loss': event.loss,
  ...Object.fromEntries(
    Object.entries(event.others).map(([name, { unique }]) => [`diag/unique_${name}`, unique]),
  ),
});
