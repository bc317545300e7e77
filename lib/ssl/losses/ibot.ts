import { ProteaError } from '../../error.js';
import {
  type PrototypeRows,
  prototypeCrossEntropy,
  type Tensor,
  tensor,
} from '../../tensor/index.js';

/** What is masked in a batch: for each masked token its place, and what it counts in the loss. */
export interface MaskedTokens {
  /** Rows among images x tokens, image by image in raster order. */
  index: Int32Array;
  /** 1 / (images x masked tokens of the same image): an image without a mask takes part in the mean. */
  weight: Float32Array;
}

/**
 * Lists the masked tokens of `mask` (images x tokens, 1 where masked).
 * @throws ERR_PROTEA_SHAPE when the mask is not images x tokens
 */
export function maskedTokens(mask: Uint8Array, images: number): MaskedTokens {
  const tokens = mask.length / images;
  if (!Number.isInteger(tokens) || tokens === 0)
    throw new ProteaError(
      'ERR_PROTEA_SHAPE',
      `a mask of ${mask.length} is not ${images} images x tokens`,
    );
  const masked = new Int32Array(images);
  mask.forEach((on, i) => {
    if (on) masked[Math.floor(i / tokens)]! += 1;
  });
  const index = Int32Array.from(mask.keys()).filter((i) => mask[i]);
  const weight = Float32Array.from(index, (i) => 1 / (images * masked[Math.floor(i / tokens)]!));
  return { index, weight };
}

/**
 * The masked-patch loss of iBOT (Zhou et al. 2022, eq. 2): Σ_i weight_i CE(teacher token i, student
 * token i), where the student saw the mask and the teacher did not.
 */
export function ibotPatchLoss(
  student: PrototypeRows,
  teacher: PrototypeRows,
  weight: Float32Array,
): Tensor {
  return prototypeCrossEntropy({
    student: { ...student, views: 1 },
    teacher: { ...teacher, views: 1 },
    pairs: [1],
    rowWeight: tensor(weight, [weight.length]),
  });
}
