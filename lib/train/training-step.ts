import type { Batch } from '../data/index.js';
import type { AdamW } from '../nn/index.js';
import { isPrototypes, type Method, type StepValues } from '../ssl/index.js';
import { backward, scope, type Tensor, watch } from '../tensor/index.js';
import type { TrainConfig } from './config.js';
import { cropBatch, keepBranches } from './draws.js';
import type { MethodState } from './model.js';
import { clusteredParameters, optimisersOf } from './optimiser.js';
import type { Schedules } from './schedules.js';

/** The numbers of one step. */
export interface StepResult {
  /** What was differentiated. */
  loss: number;
  /** Its parts before their weights, by name. */
  losses: Record<string, number>;
  /** Largest gradient norm of a parameter, before clipping. */
  gradientNorm: number;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** The mean of each number over the steps that have it; of the gradient norm the largest. */
export function meanResult(results: readonly StepResult[]): StepResult {
  const names = [...new Set(results.flatMap(({ losses }) => Object.keys(losses)))];
  const values = (name: string) =>
    results.flatMap(({ losses }) => (name in losses ? [losses[name]!] : []));
  return {
    loss: mean(results.map((r) => r.loss)),
    losses: Object.fromEntries(names.map((name) => [name, mean(values(name))])),
    gradientNorm: Math.max(...results.map((r) => r.gradientNorm)),
  };
}

interface Queued {
  total: Tensor;
  parts: Record<string, Tensor>;
  norms: Tensor[];
}

/** One update of student, teacher and the method's state. */
export class TrainingStep {
  readonly method: Method;
  private readonly optimisers: AdamW[];
  private readonly learnt: Map<string, Tensor>;

  constructor(
    private readonly config: TrainConfig,
    { method, moments, optimiserSteps }: MethodState,
    private readonly schedules: Schedules,
  ) {
    this.method = method;
    this.learnt = new Map([...method.student.parameters, ...clusteredParameters(method)]);
    for (const parameter of this.learnt.values()) watch(parameter);
    this.optimisers = optimisersOf(config, method, moments);
    this.steps = optimiserSteps;
  }

  /** Moments of all optimisers, by name. */
  optimiserState(): Map<string, Tensor> {
    return new Map(this.optimisers.flatMap((optimiser) => [...optimiser.state()]));
  }

  /** Steps that each parameter had a gradient in, also those whose loss was not finite. */
  get steps(): Record<string, number> {
    return Object.assign({}, ...this.optimisers.map(({ steps }) => steps));
  }

  private set steps(steps: Record<string, number>) {
    for (const optimiser of this.optimisers) optimiser.steps = steps;
  }

  /**
   * Loss, gradients, update; no parameter changes when the loss is not finite. Queued when the call
   * returns, so that the next step can be queued before this one's result is there.
   */
  async run(step: number, batch: Batch): Promise<StepResult> {
    const queued = scope(() => {
      const losses = this.method.losses(cropBatch(this.config, batch), this.valuesOf(step));
      return { ...losses, norms: this.update(step, losses.total) };
    });
    return this.read(queued);
  }

  private isFrozen(step: number): boolean {
    return step < this.schedules.frozenSteps;
  }

  private valuesOf(step: number): StepValues {
    const { teacherTemperature, patchTemperature, annealing } = this.schedules;
    const { seed, model } = this.config;
    return {
      teacherTemperature: teacherTemperature(step),
      patchTemperature: patchTemperature(step),
      annealing: annealing(step),
      frozen: this.isFrozen(step),
      keep: model.dropPath > 0 ? keepBranches(seed, step) : undefined,
    };
  }

  private update(step: number, total: Tensor): Tensor[] {
    const { optim } = this.config;
    const found = backward(total, [...this.learnt.values()]);
    const gradients = new Map([...this.learnt.keys()].map((name, i) => [name, found[i]]));
    const still = (name: string) => this.isFrozen(step) && isPrototypes(name);
    return this.optimisers.map((optimiser) =>
      optimiser.step(gradients, {
        lr: this.schedules.lr(step),
        weightDecay: this.schedules.weightDecay(step),
        clip: optim.clip,
        momentum: this.schedules.momentum(step),
        [optim.freeze === 'gradient' ? 'frozen' : 'resting']: still,
        guard: total,
      }),
    );
  }

  private async read({ total, parts, norms }: Queued): Promise<StepResult> {
    const named = Object.entries(parts);
    try {
      const [loss, values, found] = await Promise.all([
        total.item(),
        Promise.all(named.map(([, part]) => part.item())),
        Promise.all(norms.map((norm) => norm.read())),
      ]);
      const gradientNorm = found
        .flatMap((list) => Array.from(list, Number))
        .reduce((a, b) => Math.max(a, b), 0);
      const losses = Object.fromEntries(named.map(([name], i) => [name, values[i]!]));
      return { loss, losses, gradientNorm };
    } finally {
      for (const value of [total, ...Object.values(parts), ...norms]) value.dispose();
    }
  }
}
