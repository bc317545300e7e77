import type { PrototypeRows } from '../../tensor/index.js';
import { concatRows, prototypeCrossEntropy, sliceRows, type Tensor } from '../../tensor/index.js';
import type { MethodStep } from '../step.js';

/**
 * Mean cross-entropy of anchors (views x images, view by view) against the target of their image
 * (Assran et al. 2022, MSN, eq. 1).
 */
export function anchorLoss(anchors: PrototypeRows, targets: PrototypeRows): Tensor {
  const rows = anchors.z.shape[0]!;
  const views = rows / targets.z.shape[0]!;
  return prototypeCrossEntropy({
    student: { ...anchors, views },
    teacher: { ...targets, views: 1 },
    pairs: Array(views).fill(1 / rows),
  });
}

/**
 * MSN's views: the teacher sees the first global crop, whole; the student the second with patches
 * dropped, and the local (focal) crops.
 */
export function anchorViewLoss(step: MethodStep): Tensor {
  const { batch, student, teacher } = step;
  const { images } = batch;
  const target = step.teacherSees(sliceRows(batch.global, 0, images));
  const anchor = step.studentSees(sliceRows(batch.global, images, 2 * images), 0, {
    visible: batch.visible,
  });
  const focal = batch.local && step.studentSees(batch.local, 1);
  step.globalFeatures = { features: anchor.features, views: 1 };
  const all = focal ? concatRows([anchor.features, focal.features]) : anchor.features;
  const rows = step.studentRows('cls', student.head.bottleneck(all));
  step.predictions = rows;
  const seen = step.teacherRows('cls', teacher.head.bottleneck(target.features));
  return anchorLoss(rows, step.targets('cls', seen));
}
