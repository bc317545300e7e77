import { concatRows, prototypeCrossEntropy, type Tensor } from '../../tensor/index.js';
import type { MethodStep, Seen } from '../step.js';

/** What both networks see of a batch: the teacher the global crops, the student those and the local ones. */
export interface Views {
  teacher: Seen;
  /** Global crops, masked where the batch has a mask. */
  global: Seen;
  local: Seen | undefined;
}

/** Lets both networks look at the crops of a step. */
export function seeViews(step: MethodStep): Views {
  const { batch } = step;
  const teacher = step.teacherSees(batch.global);
  const global = step.studentSees(batch.global, 0, { mask: batch.mask });
  const local = batch.local && step.studentSees(batch.local, 1);
  step.globalFeatures = { features: global.features, views: batch.globalViews };
  return { teacher, global, local };
}

/**
 * Cross-entropy of the CLS tokens over pairs of views (Caron et al. 2021, eq. 3); `pairs` says what
 * each (student view, teacher view) counts.
 */
export function viewLoss(step: MethodStep, views: Views, pairs: readonly number[]): Tensor {
  const { batch, student, teacher } = step;
  const { features } = views.global;
  const all = views.local ? concatRows([features, views.local.features]) : features;
  const rows = step.studentRows('cls', student.head.bottleneck(all));
  const seen = step.teacherRows('cls', teacher.head.bottleneck(views.teacher.features));
  step.predictions = rows;
  return prototypeCrossEntropy({
    student: { ...rows, views: batch.globalViews + batch.localViews },
    teacher: { ...step.targets('cls', seen), views: batch.globalViews },
    pairs,
  });
}
