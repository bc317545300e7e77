import { adamw, type Tensor, zeros } from '../tensor/index.js';
import { isDecayed } from './parameter-groups.js';
import type { Parameters } from './parameters.js';

/** Which gradients share a norm when they are clipped. */
export type ClipMode = 'per_parameter' | 'global' | 'none';

export interface OptimiserOptions {
  /** @default 0.9 */
  beta1?: number;
  /** @default 0.999 */
  beta2?: number;
  /** @default 1e-8 */
  eps?: number;
  /** @default 'per_parameter' */
  clipMode?: ClipMode;
  /** Decays biases and tensors of one dimension too, as plain AdamW does. @default false */
  decayAll?: boolean;
}

/** What one step is done with. */
export interface StepSettings {
  lr: number;
  weightDecay: number;
  /** Limit of the gradient norm; 0: none. */
  clip: number;
  /** EMA momentum. */
  momentum: number;
  /** Parameters that stay as they are in this step. @default none */
  frozen?: (name: string) => boolean;
  /** Nothing changes when it is not finite. */
  guard?: Tensor;
}

interface State {
  expAvg: Tensor;
  expAvgSq: Tensor;
  step: number;
}

const defaults: Required<OptimiserOptions> = {
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  clipMode: 'per_parameter',
  decayAll: false,
};

/** AdamW with decoupled decay, clipping and the EMA teacher, over named parameters. */
export class AdamW {
  private readonly states: Map<string, State>;
  private readonly options: Required<OptimiserOptions>;

  constructor(
    private readonly parameters: Parameters,
    private readonly teacher: Parameters,
    options: OptimiserOptions = {},
    /** Moments to go on with, named as `state()` names them. */
    moments?: ReadonlyMap<string, Tensor>,
  ) {
    this.options = { ...defaults, ...options };
    this.states = new Map(
      [...parameters].map(([name, p]) => [
        name,
        {
          expAvg: moments?.get(`exp_avg.${name}`) ?? zeros(p.shape),
          expAvgSq: moments?.get(`exp_avg_sq.${name}`) ?? zeros(p.shape),
          step: 0,
        },
      ]),
    );
  }

  /** Changes parameters and teacher in place; returns the gradient norms (n) in parameter order. */
  step(gradients: ReadonlyMap<string, Tensor | undefined>, settings: StepSettings): Tensor {
    const rows = [...this.parameters].map(([name, param], i) => {
      const state = this.states.get(name)!;
      const grad = settings.frozen?.(name) ? undefined : gradients.get(name);
      if (grad) state.step++;
      return {
        param,
        grad,
        expAvg: state.expAvg,
        expAvgSq: state.expAvgSq,
        teacher: this.teacher.get(name),
        lr: settings.lr,
        weightDecay:
          this.options.decayAll || isDecayed(name, param.shape) ? settings.weightDecay : 0,
        step: Math.max(1, state.step),
        clipGroup: this.clipGroup(i),
      };
    });
    const { beta1, beta2, eps } = this.options;
    const { clip, momentum, guard } = settings;
    return adamw(rows, { beta1, beta2, eps, clip, momentum, guard });
  }

  private clipGroup(i: number): number {
    return { per_parameter: i, global: 0, none: -1 }[this.options.clipMode];
  }

  /** What a checkpoint must hold, by name. */
  state(): Map<string, Tensor> {
    return new Map(
      [...this.states].flatMap(([name, s]) => [
        [`exp_avg.${name}`, s.expAvg] as const,
        [`exp_avg_sq.${name}`, s.expAvgSq] as const,
      ]),
    );
  }

  /** Steps taken by each parameter. */
  get steps(): Record<string, number> {
    return Object.fromEntries([...this.states].map(([name, s]) => [name, s.step]));
  }

  set steps(steps: Record<string, number>) {
    for (const [name, state] of this.states) state.step = steps[name] ?? 0;
  }
}
