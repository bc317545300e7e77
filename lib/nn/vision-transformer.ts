import { ProteaError } from '../error.js';
import {
  attention,
  attentionProbabilities,
  concatRows,
  embedTokens,
  gatherRows,
  interpolate,
  layerNorm,
  linear,
  linearGelu,
  patchEmbed,
  residual,
  sliceRows,
  swiglu,
  type Tensor,
  takeToken,
  tensor,
} from '../tensor/index.js';
import type { Parameters } from './parameters.js';
import { tableSide, type ViTConfig } from './vit-config.js';

const layerNormEps = 1e-6;

/** Draws the (B) of 0 and 1 that keeps branches in training; `branch` counts from 0. */
export type KeepBranches = (branch: number, images: number, drop: number) => Tensor;

export interface ViTForwardOptions {
  /** (B, N) u8, 1 where a patch is replaced by the mask token. */
  mask?: Tensor | undefined;
  /** Patches the blocks see, by place in raster order; the others are dropped. @default all */
  visible?: Int32Array | undefined;
  /** Turns drop path on. */
  keep?: KeepBranches | undefined;
}

/**
 * A vision transformer (Dosovitskiy et al. 2021) as in DINO and DINOv2, over parameters with the
 * official names. It owns nothing: student and teacher are two of these over two sets.
 */
export class VisionTransformer {
  constructor(
    readonly config: ViTConfig,
    readonly parameters: Parameters,
  ) {}

  /** Images (B, C, H, W) to normed tokens (B, 1 + registers + patches, dim). */
  forward(image: Tensor, options: ViTForwardOptions = {}): Tensor {
    let x = this.embed(image, options.mask);
    if (options.visible) x = this.kept(x, options.visible);
    for (let i = 0; i < this.config.depth; i++) x = this.block(i, x, options.keep);
    return this.norm('norm', x);
  }

  /** Images (B, C, H, W) to normed CLS tokens (B, dim). */
  features(image: Tensor, options: ViTForwardOptions = {}): Tensor {
    return takeToken(this.forward(image, options), 0);
  }

  /** Attention of the last block, to look at: (B, heads, tokens, tokens). No gradient. */
  lastAttention(image: Tensor): Tensor {
    const last = this.config.depth - 1;
    let x = this.embed(image);
    for (let i = 0; i < last; i++) x = this.block(i, x);
    const qkv = this.linear(`blocks.${last}.attn.qkv`, this.norm(`blocks.${last}.norm1`, x));
    return attentionProbabilities(qkv, { heads: this.config.heads });
  }

  private parameter(name: string): Tensor {
    const found = this.parameters.get(name);
    if (found) return found;
    throw new ProteaError('ERR_PROTEA_CHECKPOINT_FORMAT', `The model has no parameter ${name}`, {
      hint: 'The config asks for a part that this set of parameters lacks.',
    });
  }

  private linear(name: string, x: Tensor): Tensor {
    return linear(x, this.parameter(`${name}.weight`), this.parameters.get(`${name}.bias`));
  }

  private norm(name: string, x: Tensor): Tensor {
    const weight = this.parameter(`${name}.weight`);
    return layerNorm(x, weight, this.parameter(`${name}.bias`), layerNormEps);
  }

  /** Tokens (B, 1 + R + N, D) without the patches that are not `visible`. */
  private kept(x: Tensor, visible: Int32Array): Tensor {
    const [images, tokens, dim] = x.shape as [number, number, number];
    const before = 1 + this.config.registers;
    const places = [...Array(before).keys(), ...Array.from(visible, (n) => before + n)];
    const index = Int32Array.from(
      { length: images * places.length },
      (_, i) => Math.floor(i / places.length) * tokens + places[i % places.length]!,
    );
    const rows = gatherRows(x.reshape([images * tokens, dim]), tensor(index, [index.length]));
    return rows.reshape([images, places.length, dim]);
  }

  private embed(image: Tensor, mask?: Tensor): Tensor {
    const { patchSize } = this.config;
    const [, , height, width] = image.shape as [number, number, number, number];
    const weight = this.parameter('patch_embed.proj.weight');
    return embedTokens({
      patches: patchEmbed(image, weight, this.parameter('patch_embed.proj.bias')),
      cls: this.parameter('cls_token'),
      position: this.positions(Math.floor(height / patchSize), Math.floor(width / patchSize)),
      registers: this.parameters.get('register_tokens'),
      mask,
      maskToken: mask && this.parameter('mask_token'),
    });
  }

  /** The positional table for a grid of patches, resampled unless it is the table's own. */
  private positions(rows: number, columns: number): Tensor {
    const table = this.parameter('pos_embed');
    const side = tableSide(this.config);
    if (rows === side && columns === side) return table;
    const { dim, positions } = this.config;
    const flat = table.reshape([1 + side * side, dim]);
    const grid = sliceRows(flat, 1, 1 + side * side).reshape([side, side, dim]);
    const size = { height: rows, width: columns, channelsLast: true };
    const resampled = interpolate(grid, { ...size, ...positions }).reshape([rows * columns, dim]);
    const joined = concatRows([sliceRows(flat, 0, 1), resampled]);
    return joined.reshape([1, 1 + rows * columns, dim]);
  }

  private block(i: number, x: Tensor, keep?: KeepBranches): Tensor {
    const name = `blocks.${i}`;
    const qkv = this.linear(`${name}.attn.qkv`, this.norm(`${name}.norm1`, x));
    const attended = attention(qkv, { heads: this.config.heads });
    const mixed = this.add(2 * i, x, this.linear(`${name}.attn.proj`, attended), keep);
    const branch = this.feedForward(name, this.norm(`${name}.norm2`, mixed));
    return this.add(2 * i + 1, mixed, branch, keep);
  }

  private feedForward(block: string, x: Tensor): Tensor {
    if (this.config.ffn === 'swiglu')
      return this.linear(`${block}.mlp.w3`, swiglu(this.linear(`${block}.mlp.w12`, x)));
    const weight = this.parameter(`${block}.mlp.fc1.weight`);
    const hidden = linearGelu(x, weight, this.parameter(`${block}.mlp.fc1.bias`));
    return this.linear(`${block}.mlp.fc2`, hidden);
  }

  /** The residual sum of branch number `branch`: two a block. */
  private add(branch: number, x: Tensor, value: Tensor, keep?: KeepBranches): Tensor {
    const { depth, dropPath } = this.config;
    const block = Math.floor(branch / 2);
    const gamma = this.parameters.get(`blocks.${block}.ls${(branch % 2) + 1}.gamma`);
    const drop = keep && depth > 1 ? (dropPath * block) / (depth - 1) : 0;
    if (!keep || drop === 0) return residual(x, value, gamma ? { gamma } : {});
    const kept = keep(branch, x.shape[0]!, drop);
    return residual(x, value, gamma ? { gamma, keep: kept, drop } : { keep: kept, drop });
  }
}
