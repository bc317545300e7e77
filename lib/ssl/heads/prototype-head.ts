import { checkInteger, ProteaError } from '../../error.js';
import {
  constant,
  fanIn,
  type ParameterSpec,
  type Parameters,
  projection,
} from '../../nn/index.js';
import {
  l2Normalize,
  linear,
  linearGelu,
  type Tensor,
  vmfLogNormalizer,
  weightNorm,
} from '../../tensor/index.js';

export interface PrototypeHeadConfig {
  inDim: number;
  hiddenDim: number;
  bottleneckDim: number;
  /** K */
  prototypes: number;
  /** Linear layers before the prototypes. @default 3 */
  layers: number;
  /** Fixes the prototypes' magnitudes at 1. @default true */
  normLastLayer: boolean;
  /**
   * Von Mises-Fisher logits: free magnitudes are concentrations, and the log-normaliser is added
   * (Govindarajan et al. 2023, eq. 6). @default false
   */
  vmf?: boolean;
  /** Biases in the MLP. @default true */
  bias: boolean;
}

const normalizeEps = 1e-12;

/** Name and sizes of each linear layer; a single one has the official name without a number. */
function mlpLayers({ inDim, hiddenDim, bottleneckDim, layers }: PrototypeHeadConfig) {
  const widths = [inDim, ...Array(layers - 1).fill(hiddenDim), bottleneckDim] as number[];
  return widths.slice(1).map((outputs, i) => ({
    name: layers === 1 ? 'mlp' : `mlp.${2 * i}`,
    inputs: widths[i]!,
    outputs,
  }));
}

function checkMagnitudes({ vmf, normLastLayer }: PrototypeHeadConfig): void {
  if (!vmf || !normLastLayer) return;
  throw new ProteaError('ERR_PROTEA_CONFIG', 'head.vmf needs magnitudes that are learnt', {
    hint: 'Set head.normLastLayer to false.',
  });
}

/** The parameters of the head under their official names. weight_g exists when it is learnt. */
export function prototypeHeadParameters(config: PrototypeHeadConfig): ParameterSpec[] {
  checkInteger('layers', config.layers, 1);
  checkInteger('prototypes', config.prototypes, 2);
  const { prototypes, bottleneckDim, normLastLayer, bias } = config;
  checkMagnitudes(config);
  const mlp = mlpLayers(config).flatMap(({ name, inputs, outputs }) => [
    { name: `${name}.weight`, shape: [outputs, inputs], init: projection(inputs) },
    ...(bias ? [{ name: `${name}.bias`, shape: [outputs], init: constant(0) }] : []),
  ]);
  const magnitude = { name: 'last_layer.weight_g', shape: [prototypes, 1], init: constant(1) };
  const direction = {
    name: 'last_layer.weight_v',
    shape: [prototypes, bottleneckDim],
    init: fanIn(bottleneckDim),
  };
  return [...mlp, ...(normLastLayer ? [] : [magnitude]), direction];
}

/**
 * DINO's projection head (Caron et al. 2021, appendix C): an MLP to a bottleneck, L2 normalisation,
 * and K weight-normed prototypes.
 */
export class PrototypeHead {
  constructor(
    readonly config: PrototypeHeadConfig,
    readonly parameters: Parameters,
  ) {}

  /** Features (B, inDim) to points z on the unit sphere (B, bottleneckDim). */
  bottleneck(features: Tensor): Tensor {
    const layers = mlpLayers(this.config);
    let x = features;
    layers.forEach(({ name }, i) => {
      const weight = this.parameters.get(`${name}.weight`)!;
      const bias = this.parameters.get(`${name}.bias`);
      x = i < layers.length - 1 ? linearGelu(x, weight, bias) : linear(x, weight, bias);
    });
    return l2Normalize(x, normalizeEps);
  }

  /** Prototypes (K, bottleneckDim): directions times magnitudes. */
  prototypes(): Tensor {
    return weightNorm(this.directions, this.parameters.get('last_layer.weight_g'));
  }

  /** What the head itself adds to its logits after the temperature (K); nothing but with vMF logits. */
  bias(prototypes: Tensor, temperature: number): Tensor | undefined {
    return this.config.vmf ? vmfLogNormalizer(prototypes, temperature) : undefined;
  }

  /** Prototypes as they are stored, before their lengths are divided out. */
  get directions(): Tensor {
    return this.parameters.get('last_layer.weight_v')!;
  }

  /** Logits before any temperature (B, K), for small batches: training never makes them. */
  logits(features: Tensor): Tensor {
    return linear(this.bottleneck(features), this.prototypes());
  }
}
