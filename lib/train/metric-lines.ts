// Events as lines of metrics.jsonl: flat keys with slashes.
import type { DiagnosisEvent, StepEvent } from './events.js';
import type { Metrics } from './run-folder.js';

const stamped = (step: number) => ({ _step: step, _timestamp: Date.now() / 1000 });

export const stepMetrics = (event: StepEvent): Metrics => ({
  ...stamped(event.step),
  'train/loss': event.loss,
  'train/dino': event.dino,
  'train/koleo_proto': event.koleoProto,
  'train/koleo': event.koleo,
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
  'diag/dino': event.loss,
});
