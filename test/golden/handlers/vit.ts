import {
  type Parameters,
  under,
  VisionTransformer,
  type ViTConfig,
  vitDefaults,
} from '../../../lib/nn/index.js';
import { gatherRows, type Tensor, takeToken, tensor } from '../../../lib/tensor/index.js';
import type { GoldenCase, Handler } from '../case.js';
import { Graph, type Inputs } from '../graph.js';

export function parametersOf(c: GoldenCase, x: Inputs): Parameters {
  return under(new Map(c.names('param.').map((name) => [name, x(name)])), 'param.');
}

export function configOf({ params }: GoldenCase): ViTConfig {
  return {
    ...vitDefaults,
    imageSize: params.table_image,
    patchSize: params.patch,
    dim: params.embed_dim,
    depth: params.depth,
    heads: params.heads,
    mlpRatio: params.mlp_ratio,
    ffn: String(params.ffn ?? 'mlp').startsWith('swiglu') ? 'swiglu' : 'mlp',
    registers: params.registers ?? 0,
    positions: {
      antialias: params.interpolate_antialias ?? false,
      offset: params.interpolate_offset ?? 0.1,
    },
  };
}

export const vitDino: Handler = (c) =>
  new Graph(c).run((x) => {
    const model = new VisionTransformer(configOf(c), parametersOf(c, x));
    const tokens = model.forward(x('in.image'));
    return {
      'out.tokens': tokens,
      'out.cls': takeToken(tokens, 0),
      'out.last_attention': model.lastAttention(x('in.image')),
    };
  });

/** Tokens begin ... end of every image: (B, N, D) -> (B, end - begin, D). */
function tokensBetween(tokens: Tensor, begin: number, end: number): Tensor {
  const [B, N, D] = tokens.shape as [number, number, number];
  const rows = Array.from({ length: B * (end - begin) }, (_, i) => {
    const b = Math.floor(i / (end - begin));
    return b * N + begin + (i % (end - begin));
  });
  const index = tensor(rows, [rows.length], 'i32');
  return gatherRows(tokens.reshape([B * N, D]), index).reshape([B, end - begin, D]);
}

export const vitDinov2: Handler = (c) =>
  new Graph(c).run((x) => {
    const config = configOf(c);
    const model = new VisionTransformer(config, parametersOf(c, x));
    const mask = c.has('in.mask') ? { mask: x('in.mask') } : {};
    const tokens = model.forward(x('in.image'), mask);
    const first = 1 + config.registers;
    const registers: Record<string, Tensor> = config.registers
      ? { 'out.registers': tokensBetween(tokens, 1, first) }
      : {};
    return {
      'out.tokens': tokens,
      'out.cls': takeToken(tokens, 0),
      'out.patches': tokensBetween(tokens, first, tokens.shape[1]!),
      ...registers,
    };
  });
