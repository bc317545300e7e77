// Op name of index.json -> the code that computes its outputs and gradients. One file per group.
import type { Handler } from '../case.js';
import * as layers from './layers.js';

export const handlers: Record<string, Handler> = {
  linear: layers.linear,
  layer_norm: layers.layerNorm,
  gelu: layers.gelu,
  softmax: layers.softmax,
  soft_cross_entropy: layers.softCrossEntropy,
  attention: layers.attention,
  mha: layers.mha,
  mlp: layers.mlp,
  l2_normalize: layers.l2Normalize,
  patch_embed: layers.patchEmbed,
  interpolate: layers.interpolate,
  drop_path: layers.dropPath,
  layer_scale: layers.layerScale,
};
