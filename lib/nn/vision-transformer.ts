import {
  concatRows,
  embedTokens,
  gatherRows,
  interpolate,
  patchEmbed,
  sliceRows,
  type Tensor,
  takeToken,
  tensor,
} from '../tensor/index.js';
import type { Parameters } from './parameters.js';
import { type KeepBranches, parameterOf, TransformerBlocks } from './transformer-blocks.js';
import { tableSide, type ViTConfig } from './vit-config.js';

/** Patches by place in raster order: the same of all images, or as many of each. */
export type VisiblePatches = Int32Array | readonly Int32Array[];

export interface ViTForwardOptions {
  /** (B, N) u8, 1 where a patch is replaced by the mask token. */
  mask?: Tensor | undefined;
  /** Patches the blocks see; the others are dropped. @default all */
  visible?: VisiblePatches | undefined;
  /** Turns drop path on. */
  keep?: KeepBranches | undefined;
}

/**
 * A vision transformer (Dosovitskiy et al. 2021) as in DINO and DINOv2, over parameters with the
 * official names. It owns nothing: student and teacher are two of these over two sets.
 */
export class VisionTransformer {
  private readonly blocks: TransformerBlocks;

  constructor(
    readonly config: ViTConfig,
    readonly parameters: Parameters,
  ) {
    this.blocks = new TransformerBlocks(config, parameters);
  }

  /** Images (B, C, H, W) to normed tokens (B, 1 + registers + patches, dim). */
  forward(image: Tensor, options: ViTForwardOptions = {}): Tensor {
    const x = this.embed(image, options.mask);
    return this.blocks.forward(options.visible ? this.kept(x, options.visible) : x, options.keep);
  }

  /** Images (B, C, H, W) to normed CLS tokens (B, dim). */
  features(image: Tensor, options: ViTForwardOptions = {}): Tensor {
    return takeToken(this.forward(image, options), 0);
  }

  /** Attention of the last block, to look at: (B, heads, tokens, tokens). No gradient. */
  lastAttention(image: Tensor): Tensor {
    return this.blocks.lastAttention(this.embed(image));
  }

  private parameter(name: string): Tensor {
    return parameterOf(this.parameters, name);
  }

  /** Tokens (B, 1 + R + N, D) without the patches that are not `visible`. */
  private kept(x: Tensor, visible: VisiblePatches): Tensor {
    const [images, tokens, dim] = x.shape as [number, number, number];
    const before = 1 + this.config.registers;
    const of = (image: number) => (visible instanceof Int32Array ? visible : visible[image]!);
    const count = before + of(0).length;
    const index = new Int32Array(images * count);
    for (let b = 0; b < images; b++) {
      for (let i = 0; i < before; i++) index[b * count + i] = b * tokens + i;
      of(b).forEach((n, i) => {
        index[b * count + before + i] = b * tokens + before + n;
      });
    }
    const rows = gatherRows(x.reshape([images * tokens, dim]), tensor(index, [index.length]));
    return rows.reshape([images, count, dim]);
  }

  private embed(image: Tensor, mask?: Tensor): Tensor {
    const { patchSize } = this.config;
    const [, , height, width] = image.shape as [number, number, number, number];
    const weight = this.parameter('patch_embed.proj.weight');
    return embedTokens({
      patches: patchEmbed(image, weight, this.parameter('patch_embed.proj.bias')),
      cls: this.parameter('cls_token'),
      position: this.positions(
        Math.floor(height / patchSize),
        Math.floor(width / patchSize),
        height === width,
      ),
      registers: this.parameters.get('register_tokens'),
      mask,
      maskToken: mask && this.parameter('mask_token'),
    });
  }

  /**
   * The positional table for a grid of patches, resampled unless it is the table's own of a square
   * image: the official code asks for both.
   */
  private positions(rows: number, columns: number, square: boolean): Tensor {
    const table = this.parameter('pos_embed');
    const side = tableSide(this.config);
    if (square && rows === side && columns === side) return table;
    const { dim, positions } = this.config;
    const flat = table.reshape([1 + side * side, dim]);
    const grid = sliceRows(flat, 1, 1 + side * side).reshape([side, side, dim]);
    const size = { height: rows, width: columns, channelsLast: true };
    const resampled = interpolate(grid, { ...size, ...positions }).reshape([rows * columns, dim]);
    const joined = concatRows([sliceRows(flat, 0, 1), resampled]);
    return joined.reshape([1, 1 + rows * columns, dim]);
  }
}
