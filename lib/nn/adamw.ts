import { adamw, type Tensor, zeros } from '../tensor/index.js';
import { isDecayed } from './parameter-groups.js';
import type { Parameters } from './parameters.js';

/** Which gradients share a norm when they are clipped; a module is what stands before the first dot. */
export const clipModes = ['per_parameter', 'per_module', 'global', 'none'] as const;
export type ClipMode = (typeof clipModes)[number];

/** How one parameter differs from the others. */
export interface ParameterPolicy {
  /** Factor of the learning rate. */
  lr: number;
  /** Factor of the weight decay. */
  weightDecay: number;
  /** False: not clipped, and not part of a shared norm. */
  clipped: boolean;
}

/** The policy of a parameter, by name. */
export type PolicyOf = (name: string, shape: readonly number[]) => ParameterPolicy;

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
  /** @default one rate; biases and tensors of one dimension do not decay */
  policy?: PolicyOf;
}

/** What one step is done with. */
export interface StepSettings {
  lr: number;
  weightDecay: number;
  /** Limit of the gradient norm; 0: none. */
  clip: number;
  /** EMA momentum. */
  momentum: number;
  /** Parameters that stay as they are in this step: no gradient, no decay, no count. @default none */
  frozen?: (name: string) => boolean;
  /** Parameters whose rate is 0 in this step, while their moments go on. @default none */
  resting?: (name: string) => boolean;
  /** Nothing changes when it is not finite. */
  guard?: Tensor;
}

interface State extends ParameterPolicy {
  expAvg: Tensor;
  expAvgSq: Tensor;
  step: number;
  clipGroup: number;
}

const defaults: Required<Omit<OptimiserOptions, 'policy'>> = {
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  clipMode: 'per_parameter',
  decayAll: false,
};

/** AdamW with decoupled decay, clipping and the EMA teacher, over named parameters. */
export class AdamW {
  private readonly states: Map<string, State>;
  private readonly options: typeof defaults;

  constructor(
    private readonly parameters: Parameters,
    private readonly teacher: Parameters,
    options: OptimiserOptions = {},
    /** Moments to go on with, named as `state()` names them. */
    moments?: ReadonlyMap<string, Tensor>,
  ) {
    const { policy, ...rest } = options;
    this.options = { ...defaults, ...rest };
    const policyOf = policy ?? defaultPolicy(this.options.decayAll);
    const groups = new Map<string, number>();
    this.states = new Map(
      [...parameters].map(([name, p]) => {
        const own = policyOf(name, p.shape);
        const state = {
          ...own,
          expAvg: moments?.get(`exp_avg.${name}`) ?? zeros(p.shape),
          expAvgSq: moments?.get(`exp_avg_sq.${name}`) ?? zeros(p.shape),
          step: 0,
          clipGroup: own.clipped ? clipGroup(this.options.clipMode, name, groups) : -1,
        };
        return [name, state];
      }),
    );
  }

  /** Changes parameters and teacher in place; returns the gradient norms (n) in parameter order. */
  step(gradients: ReadonlyMap<string, Tensor | undefined>, settings: StepSettings): Tensor {
    const rows = [...this.parameters].map(([name, param]) => {
      const state = this.states.get(name)!;
      const grad = settings.frozen?.(name) ? undefined : gradients.get(name);
      if (grad) state.step++;
      return {
        param,
        grad,
        expAvg: state.expAvg,
        expAvgSq: state.expAvgSq,
        teacher: this.teacher.get(name),
        lr: settings.resting?.(name) ? 0 : settings.lr * state.lr,
        weightDecay: settings.weightDecay * state.weightDecay,
        step: Math.max(1, state.step),
        clipGroup: state.clipGroup,
      };
    });
    const { beta1, beta2, eps } = this.options;
    const { clip, momentum, guard } = settings;
    return adamw(rows, { beta1, beta2, eps, clip, momentum, guard });
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

  /** Steps that each parameter had a gradient in. */
  get steps(): Record<string, number> {
    return Object.fromEntries([...this.states].map(([name, s]) => [name, s.step]));
  }

  set steps(steps: Record<string, number>) {
    for (const [name, state] of this.states) state.step = steps[name] ?? 0;
  }
}

const defaultPolicy =
  (decayAll: boolean): PolicyOf =>
  (name, shape) => ({
    lr: 1,
    weightDecay: Number(decayAll || isDecayed(name, shape)),
    clipped: true,
  });

/** The number of the group a parameter is clipped in; -1: in none. */
function clipGroup(mode: ClipMode, name: string, groups: Map<string, number>): number {
  if (mode === 'none') return -1;
  const group = { per_parameter: name, per_module: name.split('.')[0]!, global: '' }[mode];
  if (!groups.has(group)) groups.set(group, groups.size);
  return groups.get(group)!;
}
