import { prototypeSinkhorn, type SinkhornOptions, type Tensor } from '../../tensor/index.js';
import type { Targets, TeacherRows } from './targets.js';

/**
 * Sinkhorn-Knopp targets (Caron et al. 2020, SwAV; DINOv2): the batch is spread evenly over the
 * prototypes. The head's own bias cancels out. Nothing lasts from step to step.
 */
export class SinkhornTargets implements Targets {
  readonly state: ReadonlyMap<string, Tensor> = new Map();
  readonly ofBatch = true;

  constructor(readonly options: SinkhornOptions = {}) {}

  bias({ z, prototypes, temperature }: TeacherRows): Tensor {
    return prototypeSinkhorn({ z, prototypes, temperature }, this.options);
  }

  update(): void {}
}
