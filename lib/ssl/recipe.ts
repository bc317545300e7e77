import type { KeepBranches } from '../nn/index.js';
import type { Tensor } from '../tensor/index.js';
import type { HeadName } from './network.js';
import type { MethodStep } from './step.js';

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

/** One part of a loss, and what it counts. */
export interface Term {
  loss: Tensor;
  weight: number;
}

/** The parts of a loss by name; a part that does not arise in this step is undefined. */
export type Terms = Record<string, Term | undefined>;

/**
 * A method: what it needs of a batch, and how its loss is composed. Heads, targets, regularizers and
 * the rules of the optimiser are settings; the recipe says which of them meet, and where.
 */
export interface Recipe {
  /** Author, year, title. */
  source: string;
  globalCrops: 1 | 2;
  /** Whether local crops must, may or must not be there. */
  localCrops: 'needed' | 'possible' | 'unused';
  /** Masked patches of the global crops: needed, or of no use. */
  masks: boolean;
  /** Whether an anchor's patches may be dropped. */
  dropsPatches: boolean;
  /** The cross-entropy that stands at ln K when nothing is learnt, and the tokens it is taken of. */
  main: { loss: string; tokens: HeadName };
  losses(step: MethodStep): Terms;
}
