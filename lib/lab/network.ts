import { fanIn, initialise, type ParameterSpec, type Parameters } from '../nn/index.js';
import {
  identity,
  l2Normalize,
  linear,
  linearGelu,
  type Tensor,
  weightNorm,
} from '../tensor/index.js';
import { setting } from './setting.js';

const { inputs, hidden, bottleneck, prototypes } = setting;

const layer = (name: string, from: number, to: number): ParameterSpec[] => [
  { name: `${name}.weight`, shape: [to, from], init: fanIn(from) },
  { name: `${name}.bias`, shape: [to], init: fanIn(from) },
];

const specs: ParameterSpec[] = [
  ...layer('mlp.0', inputs, hidden),
  ...layer('mlp.2', hidden, hidden),
  ...layer('mlp.4', hidden, bottleneck),
  { name: 'prototypes', shape: [prototypes, bottleneck], init: { kind: 'uniform', bound: 1 / 8 } },
];

/** The head that is the whole network here. */
export class LabNetwork {
  constructor(
    readonly parameters: Parameters,
    /** Directions that are no parameter and change in place. */
    private readonly given?: Tensor,
  ) {}

  /** With `given` prototypes there are none to learn. */
  static fresh(seed: number, given?: Tensor): LabNetwork {
    const learnt = given ? specs.filter(({ name }) => name !== 'prototypes') : specs;
    return new LabNetwork(initialise(learnt, seed), given);
  }

  private parameter(name: string): Tensor {
    return this.parameters.get(name)!;
  }

  /** Points (B, inputs) to the unit sphere (B, bottleneck). */
  bottleneck(x: Tensor): Tensor {
    const of = (name: string) =>
      [this.parameter(`${name}.weight`), this.parameter(`${name}.bias`)] as const;
    return l2Normalize(
      linear(linearGelu(linearGelu(x, ...of('mlp.0')), ...of('mlp.2')), ...of('mlp.4')),
    );
  }

  get directions(): Tensor {
    return this.given ?? this.parameter('prototypes');
  }

  prototypes(): Tensor {
    return weightNorm(this.given ? identity(this.given) : this.directions);
  }
}
