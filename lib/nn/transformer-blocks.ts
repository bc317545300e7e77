import { ProteaError } from '../error.js';
import {
  attention,
  attentionProbabilities,
  layerNorm,
  linear,
  linearGelu,
  residual,
  type StorageOptions,
  swiglu,
  type Tensor,
} from '../tensor/index.js';
import type { Parameters } from './parameters.js';
import type { BlocksConfig } from './vit-config.js';

const layerNormEps = 1e-6;

/** What stays inside a block: the sum of its branches alone is f32 on every device. */
const inside: StorageOptions = { rounded: true };

/** Draws the (B) of 0 and 1 that keeps branches in training; `branch` counts from 0. */
export type KeepBranches = (branch: number, images: number, drop: number) => Tensor;

/** @throws ERR_PROTEA_CHECKPOINT_FORMAT when there is none of that name */
export function parameterOf(parameters: Parameters, name: string): Tensor {
  const found = parameters.get(name);
  if (found) return found;
  throw new ProteaError('ERR_PROTEA_CHECKPOINT_FORMAT', `The model has no parameter ${name}`, {
    hint: 'The config asks for a part that this set of parameters lacks.',
  });
}

/** The blocks of a transformer and the norm above them (Dosovitskiy et al. 2021, eq. 2 to 4). */
export class TransformerBlocks {
  constructor(
    readonly config: BlocksConfig,
    readonly parameters: Parameters,
  ) {}

  /** Tokens (B, T, dim) to normed tokens; `keep` turns drop path on. */
  forward(x: Tensor, keep?: KeepBranches): Tensor {
    let y = x;
    for (let i = 0; i < this.config.depth; i++) y = this.block(i, y, keep);
    return this.norm('norm', y);
  }

  /** Attention of the last block, to look at: (B, heads, T, T). No gradient. */
  lastAttention(x: Tensor): Tensor {
    const last = this.config.depth - 1;
    let y = x;
    for (let i = 0; i < last; i++) y = this.block(i, y);
    const qkv = this.linear(`blocks.${last}.attn.qkv`, this.norm(`blocks.${last}.norm1`, y));
    return attentionProbabilities(qkv, { heads: this.config.heads });
  }

  private parameter(name: string): Tensor {
    return parameterOf(this.parameters, name);
  }

  private linear(name: string, x: Tensor, options?: StorageOptions): Tensor {
    const weight = this.parameter(`${name}.weight`);
    return linear(x, weight, this.parameters.get(`${name}.bias`), options);
  }

  private norm(name: string, x: Tensor, options?: StorageOptions): Tensor {
    const weight = this.parameter(`${name}.weight`);
    return layerNorm(x, weight, this.parameter(`${name}.bias`), layerNormEps, options);
  }

  private block(i: number, x: Tensor, keep?: KeepBranches): Tensor {
    const name = `blocks.${i}`;
    const qkv = this.linear(`${name}.attn.qkv`, this.norm(`${name}.norm1`, x, inside), inside);
    const attended = attention(qkv, { heads: this.config.heads });
    const mixed = this.add(2 * i, x, this.linear(`${name}.attn.proj`, attended, inside), keep);
    const branch = this.feedForward(name, this.norm(`${name}.norm2`, mixed, inside));
    return this.add(2 * i + 1, mixed, branch, keep);
  }

  private feedForward(block: string, x: Tensor): Tensor {
    if (this.config.ffn === 'swiglu')
      return this.linear(
        `${block}.mlp.w3`,
        swiglu(this.linear(`${block}.mlp.w12`, x, inside)),
        inside,
      );
    const weight = this.parameter(`${block}.mlp.fc1.weight`);
    const hidden = linearGelu(x, weight, this.parameter(`${block}.mlp.fc1.bias`), inside);
    return this.linear(`${block}.mlp.fc2`, hidden, inside);
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
