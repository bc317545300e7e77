import { type PrototypeViews, prototypeCrossEntropy, type Tensor } from '../../tensor/index.js';

/**
 * What each pair of views counts in the DINO loss: 1 / (pairs x images) where they differ. Student
 * view v and teacher view u are the same crop when v = u.
 */
export function dinoPairs(views: number, teacherViews: number, images: number): number[] {
  const pairs = views * teacherViews - Math.min(views, teacherViews);
  return Array.from({ length: views * teacherViews }, (_, i) =>
    Math.floor(i / teacherViews) === i % teacherViews ? 0 : 1 / (pairs * images),
  );
}

/**
 * What each pair of views counts in DINOv2: as in DINO, but divided by 2 + 2 local views pairs (by 3
 * without local crops), so that the two global pairs weigh as much as any other.
 */
export function dinov2Pairs(localViews: number, images: number): number[] {
  const terms = 2 + Math.max(2 * localViews, 1);
  return Array.from({ length: (2 + localViews) * 2 }, (_, i) =>
    Math.floor(i / 2) === i % 2 ? 0 : 1 / (terms * images),
  );
}

/** The DINO loss (Caron et al. 2021, eq. 3): mean cross-entropy over pairs of different views. */
export function dinoLoss(student: PrototypeViews, teacher: PrototypeViews): Tensor {
  const images = teacher.z.shape[0]! / teacher.views;
  return prototypeCrossEntropy({
    student,
    teacher,
    pairs: dinoPairs(student.views, teacher.views, images),
  });
}
