import type { KeepBranches } from '../nn/index.js';
import type { Tensor } from '../tensor/index.js';

/** Crops of one step, view by view: rows v * images + image. */
export interface CropBatch {
  images: number;
  /** (global views x images, C, H, W) */
  global: Tensor;
  globalViews: number;
  /** (local views x images, C, h, w) */
  local?: Tensor | undefined;
  localViews: number;
  /** Patches of the global crops the student does not see: (global views x images x N), 1 = masked. */
  mask?: Uint8Array | undefined;
  /** Patches that are left of an anchor, by place in raster order; one draw a batch. */
  visible?: Int32Array | undefined;
}

/** What changes from step to step. */
export interface StepValues {
  teacherTemperature: number;
  /** Of the teacher's patch tokens. @default teacherTemperature */
  patchTemperature?: number;
  /** The prototypes stand still, so what only moves them is left out. @default false */
  frozen?: boolean;
  /** Exponent of a mixture's responsibilities, in (0, 1]. @default 1 */
  annealing?: number;
  /** Draws of drop path for each group of crops. */
  keep?: ((group: number) => KeepBranches) | undefined;
}
