import { constant, fanIn, normal, type ParameterSpec, projection } from './parameters.js';
import { type BlocksConfig, hiddenWidth, tableSide, type ViTConfig } from './vit-config.js';

const linearSpecs = (name: string, inputs: number, outputs: number, bias = true) => [
  { name: `${name}.weight`, shape: [outputs, inputs], init: projection(inputs) },
  ...(bias ? [{ name: `${name}.bias`, shape: [outputs], init: constant(0) }] : []),
];

const normSpecs = (name: string, dim: number) => [
  { name: `${name}.weight`, shape: [dim], init: constant(1) },
  { name: `${name}.bias`, shape: [dim], init: constant(0) },
];

function scaleSpecs(name: string, { dim, layerScale }: BlocksConfig) {
  return layerScale === null
    ? []
    : [{ name: `${name}.gamma`, shape: [dim], init: constant(layerScale) }];
}

function feedForwardSpecs(block: string, config: BlocksConfig) {
  const { dim, ffn } = config;
  const hidden = hiddenWidth(config);
  return ffn === 'mlp'
    ? [
        ...linearSpecs(`${block}.mlp.fc1`, dim, hidden),
        ...linearSpecs(`${block}.mlp.fc2`, hidden, dim),
      ]
    : [
        ...linearSpecs(`${block}.mlp.w12`, dim, 2 * hidden),
        ...linearSpecs(`${block}.mlp.w3`, hidden, dim),
      ];
}

function blockSpecs(block: string, config: BlocksConfig): ParameterSpec[] {
  const { dim, qkvBias } = config;
  return [
    ...normSpecs(`${block}.norm1`, dim),
    ...linearSpecs(`${block}.attn.qkv`, dim, 3 * dim, qkvBias),
    ...linearSpecs(`${block}.attn.proj`, dim, dim),
    ...scaleSpecs(`${block}.ls1`, config),
    ...normSpecs(`${block}.norm2`, dim),
    ...feedForwardSpecs(block, config),
    ...scaleSpecs(`${block}.ls2`, config),
  ];
}

function embeddingSpecs(config: ViTConfig): ParameterSpec[] {
  const { dim, channels, patchSize, registers, maskToken } = config;
  const inputs = channels * patchSize * patchSize;
  const kernel = [dim, channels, patchSize, patchSize];
  const positions = 1 + tableSide(config) ** 2;
  return [
    { name: 'cls_token', shape: [1, 1, dim], init: normal(0.02) },
    { name: 'pos_embed', shape: [1, positions, dim], init: normal(0.02) },
    ...(registers
      ? [{ name: 'register_tokens', shape: [1, registers, dim], init: normal(1e-6) }]
      : []),
    ...(maskToken ? [{ name: 'mask_token', shape: [1, dim], init: constant(0) }] : []),
    { name: 'patch_embed.proj.weight', shape: kernel, init: fanIn(inputs) },
    { name: 'patch_embed.proj.bias', shape: [dim], init: fanIn(inputs) },
  ];
}

/** The parameters of a stack of blocks and of the norm above it. */
export function blocksParameters(config: BlocksConfig): ParameterSpec[] {
  const blocks = Array.from({ length: config.depth }, (_, i) => blockSpecs(`blocks.${i}`, config));
  return [...blocks.flat(), ...normSpecs('norm', config.dim)];
}

/** The parameters of a vision transformer under the names of the official DINO checkpoints. */
export const vitParameters = (config: ViTConfig): ParameterSpec[] => [
  ...embeddingSpecs(config),
  ...blocksParameters(config),
];
