import type { Batch } from '../data/index.js';
import { AdamW, type KeepBranches, uniforms } from '../nn/index.js';
import type { CropBatch, Dino, DinoLosses } from '../ssl/index.js';
import { backward, scope, type Tensor, tensor, watch } from '../tensor/index.js';
import type { TrainConfig } from './config.js';
import type { MethodState } from './model.js';
import type { Schedules } from './schedules.js';

const dropPathPurpose = 4;

/** The numbers of one step. */
export interface StepResult {
  loss: number;
  dino: number;
  koleoProto: number | null;
  koleo: number | null;
  /** Largest gradient norm of a parameter, before clipping. */
  gradientNorm: number;
}

/** The mean of each number over some steps; of the gradient norm the largest. */
export function meanResult(results: readonly StepResult[]): StepResult {
  const mean = (value: (result: StepResult) => number | null) => {
    const values = results.map(value);
    return values.every((v) => v !== null)
      ? values.reduce((a, b) => a + b, 0) / values.length
      : null;
  };
  return {
    loss: mean((r) => r.loss)!,
    dino: mean((r) => r.dino)!,
    koleoProto: mean((r) => r.koleoProto),
    koleo: mean((r) => r.koleo),
    gradientNorm: Math.max(...results.map((r) => r.gradientNorm)),
  };
}

/** Crops as the method wants them. */
function cropsOf({ groups }: Batch, images: number): CropBatch {
  const [global, local] = groups.map(({ values, shape }) => tensor(values, shape));
  if (groups[0]!.views > 2)
    throw new Error('local crops of the size of the global ones are not told apart');
  return {
    images,
    global: global!,
    globalViews: groups[0]!.views,
    local,
    localViews: groups[1]?.views ?? 0,
  };
}

/** Draws of drop path: a stream for each (step, crop size, branch). */
function keepBranches(seed: number, step: number): (group: number) => KeepBranches {
  return (group) => (branch, images, drop) => {
    const u = uniforms(seed, step, group * 1024 + branch, dropPathPurpose, images);
    return tensor(
      Float32Array.from(u, (value) => Number(value >= drop)),
      [images],
    );
  };
}

/** One update of student, teacher and centre. */
export class TrainingStep {
  readonly method: Dino;
  readonly optimiser: AdamW;
  private readonly names: string[];
  private readonly watched: Tensor[];

  constructor(
    private readonly config: TrainConfig,
    { method, moments, optimiserSteps }: MethodState,
    private readonly schedules: Schedules,
  ) {
    this.method = method;
    const { parameters } = method.student;
    this.names = [...parameters.keys()];
    this.watched = [...parameters.values()].map(watch);
    const options = { beta2: config.optim.beta2 };
    this.optimiser = new AdamW(parameters, method.teacher.parameters, options, moments);
    this.optimiser.steps = optimiserSteps;
  }

  /** Loss, gradients, update; nothing changes when the loss is not finite. */
  async run(step: number, batch: Batch): Promise<StepResult> {
    const before = this.optimiser.steps;
    const queued = scope(() => {
      const keep =
        this.config.model.dropPath > 0 ? keepBranches(this.config.seed, step) : undefined;
      const crops = cropsOf(batch, this.config.optim.batch);
      const losses = this.method.losses(crops, this.schedules.teacherTemperature(step), keep);
      return { ...losses, norms: this.update(step, losses.total) };
    });
    const result = await this.read(queued);
    if (!Number.isFinite(result.loss)) this.optimiser.steps = before;
    return result;
  }

  private update(step: number, total: Tensor): Tensor {
    const found = backward(total, this.watched);
    const gradients = new Map(this.names.map((name, i) => [name, found[i]]));
    const frozen = step < this.schedules.frozenSteps;
    return this.optimiser.step(gradients, {
      lr: this.schedules.lr(step),
      weightDecay: this.schedules.weightDecay(step),
      clip: this.config.optim.clip,
      momentum: this.schedules.momentum(step),
      frozen: (name) => frozen && name.includes('last_layer'),
      guard: total,
    });
  }

  private async read(queued: DinoLosses & { norms: Tensor }): Promise<StepResult> {
    const { total, dino, koleoProto, koleo, norms } = queued;
    try {
      const item = async (value: Tensor | undefined) => (value ? value.item() : null);
      const [loss, dinoValue, spread, data, gradientNorms] = await Promise.all([
        total.item(),
        dino.item(),
        item(koleoProto),
        item(koleo),
        norms.read(),
      ]);
      const gradientNorm = Array.from(gradientNorms).reduce((a, b) => Math.max(a, b), 0);
      return { loss, dino: dinoValue, koleoProto: spread, koleo: data, gradientNorm };
    } finally {
      for (const value of [total, dino, koleoProto, koleo, norms]) value?.dispose();
    }
  }
}
