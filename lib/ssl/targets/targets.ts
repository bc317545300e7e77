import type { PrototypeRows, Tensor } from '../../tensor/index.js';

/** The teacher's rows of one step, against its prototypes; `bias` is the head's own, if it has one. */
export type TeacherRows = PrototypeRows;

/**
 * How the teacher's logits become targets that use all prototypes: a bias (K) added after the
 * temperature, so that the loss stays fused and the assignments are never written down.
 */
export interface Targets {
  /** What lasts from step to step, by name; checkpoints keep it. */
  readonly state: ReadonlyMap<string, Tensor>;
  /** Whether the bias depends on the batch at hand: one alone then says nothing of the marginal. */
  readonly ofBatch: boolean;
  /** The bias of this step's targets, the head's own included. */
  bias(rows: TeacherRows): Tensor | undefined;
  /** Takes this step's rows into the state, after their bias was used; not when `guard` is not finite. */
  update(rows: TeacherRows, guard?: Tensor): void;
}

/** Softmax of the logits as they are. With nothing against it, training collapses to one prototype. */
export class PlainTargets implements Targets {
  readonly state: ReadonlyMap<string, Tensor> = new Map();
  readonly ofBatch = false;

  bias({ bias }: TeacherRows): Tensor | undefined {
    return bias;
  }

  update(): void {}
}
