import { checkInteger, ProteaError } from '../../error.js';
import {
  constant,
  normal,
  type ParameterSpec,
  type Parameters,
  projection,
} from '../../nn/index.js';
import {
  batchNorm,
  gelu,
  identity,
  l2Normalize,
  linear,
  linearGelu,
  type Tensor,
  vmfLogNormalizer,
  weightedSum,
} from '../../tensor/index.js';
import { type PrototypeLayerName, prototypeLayers } from './prototype-layers.js';

export interface PrototypeHeadConfig {
  inDim: number;
  hiddenDim: number;
  bottleneckDim: number;
  /** K */
  prototypes: number;
  /** Linear layers before the prototypes; 0: the features are the bottleneck. @default 3 */
  layers: number;
  /** How the prototypes are stored. @default 'weight-norm' */
  layer?: PrototypeLayerName;
  /** Fixes the magnitudes of weight-normed prototypes at 1. @default true */
  normLastLayer: boolean;
  /**
   * Von Mises-Fisher logits: free magnitudes are concentrations, and the log-normaliser is added
   * (Govindarajan et al. 2023, eq. 6). @default false
   */
  vmf?: boolean;
  /** Biases in the MLP. @default true */
  bias: boolean;
  /** Batch norm before each GELU of the MLP, as MSN. @default false */
  batchNorm?: boolean;
  /** A learnt number added to each logit before the temperature, as CAPI's teacher. @default false */
  logitBias?: boolean;
  /** Standard deviation at the start instead of the layer's own, for layer 'linear'. */
  std?: number;
  /** Directions come from outside (a mixture) instead of a parameter. @default false */
  givenDirections?: boolean;
}

const normalizeEps = 1e-12;
const batchNormEps = 1e-5;

/** Name and sizes of each linear layer; a single one has the official name without a number. */
function mlpLayers({ inDim, hiddenDim, bottleneckDim, layers, batchNorm }: PrototypeHeadConfig) {
  if (layers === 0) return [];
  const widths = [inDim, ...Array(layers - 1).fill(hiddenDim), bottleneckDim] as number[];
  const stride = batchNorm ? 3 : 2;
  return widths.slice(1).map((outputs, i) => ({
    name: layers === 1 ? 'mlp' : `mlp.${stride * i}`,
    norm: batchNorm && i < layers - 1 ? `mlp.${stride * i + 1}` : undefined,
    inputs: widths[i]!,
    outputs,
  }));
}

/** @throws ERR_PROTEA_CONFIG naming what does not fit together */
export function checkPrototypeHead(config: PrototypeHeadConfig): void {
  const { vmf, normLastLayer, layer = 'weight-norm', layers, inDim, bottleneckDim } = config;
  checkInteger('head.layers', layers, 0);
  checkInteger('head.prototypes', config.prototypes, 2);
  if (vmf && normLastLayer)
    throw new ProteaError('ERR_PROTEA_CONFIG', 'head.vmf needs magnitudes that are learnt', {
      hint: 'Set head.normLastLayer to false.',
    });
  if (vmf && layer !== 'weight-norm')
    throw new ProteaError('ERR_PROTEA_CONFIG', `head.vmf does not go with head.layer "${layer}"`, {
      hint: 'Set head.layer to weight-norm, whose magnitudes are the concentrations.',
    });
  if (layers === 0 && inDim !== bottleneckDim)
    throw new ProteaError(
      'ERR_PROTEA_CONFIG',
      `Without layers the bottleneck has the backbone's width ${inDim}, not ${bottleneckDim}`,
      { hint: `Set head.bottleneckDim to ${inDim}, or head.layers to 1 or more.` },
    );
}

function trunkParameters(config: PrototypeHeadConfig): ParameterSpec[] {
  return mlpLayers(config).flatMap(({ name, norm, inputs, outputs }) => [
    { name: `${name}.weight`, shape: [outputs, inputs], init: projection(inputs) },
    ...(config.bias ? [{ name: `${name}.bias`, shape: [outputs], init: constant(0) }] : []),
    ...(norm
      ? [
          { name: `${norm}.weight`, shape: [outputs], init: constant(1) },
          { name: `${norm}.bias`, shape: [outputs], init: constant(0) },
        ]
      : []),
  ]);
}

/** The parameters of the prototypes alone, under the layer's name. weight_g exists when it is learnt. */
export function prototypeLayerParameters(
  config: PrototypeHeadConfig,
  name = 'last_layer',
): ParameterSpec[] {
  checkPrototypeHead(config);
  const { prototypes: K, bottleneckDim: P, normLastLayer, layer = 'weight-norm' } = config;
  const { stored, init } = prototypeLayers[layer];
  const hasGain = layer === 'weight-norm' && !normLastLayer;
  const gain = { name: `${name}.weight_g`, shape: [K, 1], init: constant(1) };
  const initial = config.std ? normal(config.std) : init(P);
  return [
    ...(hasGain ? [gain] : []),
    ...(config.givenDirections ? [] : [{ name: stored(name), shape: [K, P], init: initial }]),
    ...(config.logitBias ? [{ name: `${name}.bias`, shape: [K], init: constant(0) }] : []),
  ];
}

/** The parameters of the head under their official names. */
export function prototypeHeadParameters(config: PrototypeHeadConfig): ParameterSpec[] {
  checkPrototypeHead(config);
  return [...trunkParameters(config), ...prototypeLayerParameters(config)];
}

/**
 * DINO's projection head (Caron et al. 2021, appendix C): an MLP to a bottleneck, L2 normalisation,
 * and K prototypes.
 */
export class PrototypeHead {
  constructor(
    readonly config: PrototypeHeadConfig,
    readonly parameters: Parameters,
    /** The prototypes' directions (K, P) where they are no parameter. */
    private readonly given?: Tensor,
    /** Name of the prototypes among the parameters; a second set over one MLP has another. */
    private readonly layerName = 'last_layer',
  ) {}

  /** Features (B, inDim) to points z on the unit sphere (B, bottleneckDim). */
  bottleneck(features: Tensor): Tensor {
    const layers = mlpLayers(this.config);
    let x = features;
    layers.forEach(({ name, norm }, i) => {
      const weight = this.parameters.get(`${name}.weight`)!;
      const bias = this.parameters.get(`${name}.bias`);
      if (norm) x = gelu(this.normed(norm, linear(x, weight, bias)));
      else x = i < layers.length - 1 ? linearGelu(x, weight, bias) : linear(x, weight, bias);
    });
    return l2Normalize(x, normalizeEps);
  }

  private normed(name: string, x: Tensor): Tensor {
    const [weight, bias] = ['weight', 'bias'].map(
      (part) => this.parameters.get(`${name}.${part}`)!,
    );
    return batchNorm(x, weight!, bias!, batchNormEps);
  }

  private get layer() {
    return prototypeLayers[this.config.layer ?? 'weight-norm'];
  }

  /** Prototypes (K, bottleneckDim): directions times magnitudes. */
  prototypes(): Tensor {
    const gain = this.parameters.get(`${this.layerName}.weight_g`);
    // A mixture's means change before backward runs, which may still need what they were.
    const directions = this.given ? identity(this.given) : this.directions;
    return this.layer.prototypes(directions, gain);
  }

  /** What the head itself adds to its logits after the temperature (K), if anything. */
  bias(prototypes: Tensor, temperature: number): Tensor | undefined {
    if (this.config.vmf) return vmfLogNormalizer(prototypes, temperature);
    const learnt = this.parameters.get(`${this.layerName}.bias`);
    return learnt ? weightedSum([learnt], [1 / temperature]) : undefined;
  }

  /** Prototypes as they are stored, before their lengths are divided out. */
  get directions(): Tensor {
    return this.given ?? this.parameters.get(this.layer.stored(this.layerName))!;
  }

  /** Logits before any temperature (B, K), for small batches: training never makes them. */
  logits(features: Tensor): Tensor {
    return linear(this.bottleneck(features), this.prototypes());
  }
}
