import {
  type ParameterSpec,
  type Parameters,
  PatchPredictor,
  type PredictorConfig,
  predictorParameters,
  tableSide,
  under,
  VisionTransformer,
  type ViTConfig,
  vitParameters,
} from '../nn/index.js';
import type { Tensor } from '../tensor/index.js';
import {
  PrototypeHead,
  type PrototypeHeadConfig,
  prototypeHeadParameters,
  prototypeLayerParameters,
} from './heads/prototype-head.js';

/**
 * What patch tokens are compared with: the head of the CLS token; other prototypes behind its MLP
 * (iBOT without shared_head); or a head of their own (DINOv2, separate_head).
 */
export const patchHeads = ['shared', 'prototypes', 'separate'] as const;
export type PatchHeadKind = (typeof patchHeads)[number];

/** Which of a network's heads. */
export type HeadName = 'cls' | 'patch';

export interface NetworkConfig {
  backbone: ViTConfig;
  head: PrototypeHeadConfig;
  /** @default 'shared' */
  patchHead?: PatchHeadKind | undefined;
  /** K of patch tokens, where they have prototypes of their own. @default that of the head */
  patchPrototypes?: number | undefined;
  /** Blocks of a predictor of the patches the encoder is not shown; 0: none. @default 0 */
  predictorDepth?: number | undefined;
}

/** Names below "head." and "ibot_head." are the official ones. */
const secondLayer = 'last_layer2';

const patchConfig = ({ head, patchPrototypes }: NetworkConfig): PrototypeHeadConfig => ({
  ...head,
  prototypes: patchPrototypes ?? head.prototypes,
});

/** The heads that have prototypes of their own. */
export const headNames = ({ patchHead = 'shared' }: NetworkConfig): HeadName[] =>
  patchHead === 'shared' ? ['cls'] : ['cls', 'patch'];

/** K of a head. */
export const prototypesOf = (config: NetworkConfig, name: HeadName): number =>
  (name === 'patch' ? patchConfig(config) : config.head).prototypes;

const predictorConfig = ({ backbone, predictorDepth = 0 }: NetworkConfig): PredictorConfig => ({
  ...backbone,
  depth: predictorDepth,
  dropPath: 0,
  patches: tableSide(backbone) ** 2,
});

/** The parameters of a network under official names: backbone.*, head.*, ibot_head.*; predictor.*. */
export function networkParameters(config: NetworkConfig): ParameterSpec[] {
  const { backbone, head, patchHead = 'shared', predictorDepth = 0 } = config;
  const named = (prefix: string, specs: ParameterSpec[]) =>
    specs.map((spec) => ({ ...spec, name: prefix + spec.name }));
  const patch = patchConfig(config);
  return [
    ...named('backbone.', vitParameters(backbone)),
    ...(predictorDepth ? named('predictor.', predictorParameters(predictorConfig(config))) : []),
    ...named('head.', prototypeHeadParameters(head)),
    ...(patchHead === 'prototypes'
      ? named('head.', prototypeLayerParameters(patch, secondLayer))
      : []),
    ...(patchHead === 'separate' ? named('ibot_head.', prototypeHeadParameters(patch)) : []),
  ];
}

/** One network: a backbone and its heads over one set of parameters. */
export class Network {
  readonly backbone: VisionTransformer;
  readonly head: PrototypeHead;
  readonly patchHead: PrototypeHead;
  readonly predictor: PatchPredictor | undefined;

  constructor(
    readonly config: NetworkConfig,
    readonly parameters: Parameters,
    /** Directions (K, P) of heads whose prototypes are no parameter. */
    given: Partial<Record<HeadName, Tensor>> = {},
  ) {
    const { patchHead = 'shared' } = config;
    const [ownHead, ibotHead] = ['head.', 'ibot_head.'].map((name) => under(parameters, name));
    this.backbone = new VisionTransformer(config.backbone, under(parameters, 'backbone.'));
    this.head = new PrototypeHead(config.head, ownHead!, given.cls);
    this.predictor = config.predictorDepth
      ? new PatchPredictor(predictorConfig(config), under(parameters, 'predictor.'))
      : undefined;
    const patch = patchConfig(config);
    this.patchHead = {
      shared: () => this.head,
      prototypes: () => new PrototypeHead(patch, ownHead!, given.patch, secondLayer),
      separate: () => new PrototypeHead(patch, ibotHead!, given.patch),
    }[patchHead]();
  }

  headOf(name: HeadName): PrototypeHead {
    return name === 'cls' ? this.head : this.patchHead;
  }
}
