import { embedTokens, gatherRows, type Tensor, tensor } from '../tensor/index.js';
import { constant, normal, type ParameterSpec, type Parameters } from './parameters.js';
import { parameterOf, TransformerBlocks } from './transformer-blocks.js';
import type { BlocksConfig } from './vit-config.js';
import { blocksParameters } from './vit-parameters.js';

export interface PredictorConfig extends BlocksConfig {
  /** Patches of an image. */
  patches: number;
}

/** Names as in the backbone: tokens, positions, blocks and a norm. */
export const predictorParameters = (config: PredictorConfig): ParameterSpec[] => [
  { name: 'cls_token', shape: [1, 1, config.dim], init: normal(0.02) },
  { name: 'pos_embed', shape: [1, 1 + config.patches, config.dim], init: normal(0.02) },
  { name: 'mask_token', shape: [1, config.dim], init: constant(0) },
  ...blocksParameters(config),
];

/**
 * Says what stands in patches the encoder was not shown: blocks over the encoded patches and, in the
 * places of the others, mask tokens (the decoder of He et al. 2022, "Masked autoencoders").
 */
export class PatchPredictor {
  private readonly blocks: TransformerBlocks;

  constructor(
    readonly config: PredictorConfig,
    readonly parameters: Parameters,
  ) {
    this.blocks = new TransformerBlocks(config, parameters);
  }

  /**
   * Encoded tokens (B, before + V, dim), of which the last V are the patches at `visible` of each
   * image, to normed tokens (B, 1 + patches, dim) of all places.
   */
  forward(encoded: Tensor, visible: readonly Int32Array[]): Tensor {
    const [images, length, dim] = encoded.shape as [number, number, number];
    const { patches } = this.config;
    const before = length - visible[0]!.length;
    const from = new Int32Array(images * patches);
    const mask = new Uint8Array(images * patches).fill(1);
    visible.forEach((places, b) => {
      places.forEach((n, i) => {
        from[b * patches + n] = b * length + before + i;
        mask[b * patches + n] = 0;
      });
    });
    const rows = gatherRows(encoded.reshape([images * length, dim]), tensor(from, [from.length]));
    const parameter = (name: string) => parameterOf(this.parameters, name);
    const tokens = embedTokens({
      patches: rows.reshape([images, patches, dim]),
      cls: parameter('cls_token'),
      position: parameter('pos_embed'),
      mask: tensor(mask, [images, patches]),
      maskToken: parameter('mask_token'),
    });
    return this.blocks.forward(tokens);
  }
}
