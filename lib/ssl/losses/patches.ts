import { gatherRows, type Tensor, tensor, weightedSum } from '../../tensor/index.js';
import type { HeadName } from '../network.js';
import type { MethodStep, Seen } from '../step.js';
import { ibotPatchLoss, maskedTokens } from './ibot.js';
import type { Views } from './views.js';

const patch: HeadName = 'patch';

/** Patch tokens (rows, D) by number among crops x patches; CLS and registers are left out. */
export function patchTokens({ tokens }: Seen, index: ArrayLike<number>, patches: number): Tensor {
  const [crops, length, dim] = tokens.shape as [number, number, number];
  const place = (i: number) => Math.floor(i / patches) * length + length - patches + (i % patches);
  const rows = Int32Array.from(index, place);
  return gatherRows(tokens.reshape([crops * length, dim]), tensor(rows, [rows.length]));
}

const everyToken = (count: number) => Int32Array.from({ length: count }, (_, i) => i);

export interface PatchLossOptions {
  /** Which of the teacher's tokens the targets' state takes in: all (iBOT) or the masked (DINOv2). */
  stateOf: 'all' | 'masked';
}

/**
 * The masked-patch loss (Zhou et al. 2022, eq. 2) of what the student saw under the batch's mask;
 * undefined in a step without a masked patch.
 */
export function patchLoss(
  step: MethodStep,
  views: Views,
  { stateOf }: PatchLossOptions,
): Tensor | undefined {
  const { batch, student, teacher } = step;
  const crops = batch.globalViews * batch.images;
  const mask = batch.mask!;
  const { index, weight } = maskedTokens(mask, crops);
  if (!index.length) return undefined;
  const patches = mask.length / crops;
  const rowsOf = (head: typeof teacher, seen: Seen, of: Int32Array) =>
    head.patchHead.bottleneck(patchTokens(seen, of, patches));
  const targets = step.teacherRows(patch, rowsOf(teacher, views.teacher, index));
  const all =
    stateOf === 'all'
      ? { ...targets, z: rowsOf(teacher, views.teacher, everyToken(mask.length)) }
      : targets;
  return ibotPatchLoss(
    step.studentRows(patch, rowsOf(student, views.global, index)),
    step.targets(patch, targets, all),
    weight,
  );
}

/** Masked patches of one place in all images, and what each counts. */
interface Place {
  images: number[];
  weight: Float32Array;
}

function placesOf(mask: Uint8Array, images: number): Place[] {
  const { index, weight } = maskedTokens(mask, images);
  const patches = mask.length / images;
  return Array.from({ length: patches }, (_, n) => {
    const at = [...index.keys()].filter((i) => index[i]! % patches === n);
    return {
      images: at.map((i) => Math.floor(index[i]! / patches)),
      weight: Float32Array.from(at, (i) => weight[i]!),
    };
  });
}

/**
 * CAPI's masked-patch loss (Darcet et al. 2025): as `patchLoss`, but the teacher's patches of one
 * place are balanced over the images, place by place, so that no prototype stands for a place.
 */
export function positionwisePatchLoss(
  step: MethodStep,
  teacherSaw: Seen,
  studentSaw: Seen,
): Tensor | undefined {
  const { batch, student, teacher } = step;
  const { images } = batch;
  const mask = batch.mask!;
  const patches = mask.length / images;
  const losses = placesOf(mask, images).flatMap((place, n) => {
    const column = Int32Array.from({ length: images }, (_, b) => b * patches + n);
    const z = teacher.patchHead.bottleneck(patchTokens(teacherSaw, column, patches));
    const targets = step.targets(patch, step.teacherRows(patch, z));
    if (!place.images.length) return [];
    const masked = place.images.map((b) => b * patches + n);
    const seen = student.patchHead.bottleneck(patchTokens(studentSaw, masked, patches));
    const rows = tensor(Int32Array.from(place.images), [place.images.length]);
    return [
      ibotPatchLoss(
        step.studentRows(patch, seen),
        { ...targets, z: gatherRows(z, rows) },
        place.weight,
      ),
    ];
  });
  if (!losses.length) return undefined;
  return weightedSum(
    losses,
    losses.map(() => 1),
  );
}
