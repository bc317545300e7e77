import type { Tensor } from '../tensor/index.js';
import type { HeadName } from './network.js';
import type { MethodStep } from './step.js';

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
