import { under } from '../../../lib/nn/index.js';
import { PrototypeHead } from '../../../lib/ssl/index.js';
import { linear, weightNorm } from '../../../lib/tensor/index.js';
import type { Handler } from '../case.js';
import { Graph } from '../graph.js';

/** The heads of DINO and DINOv2: the same function of parameters with the same names. */
export const head: Handler = (c) =>
  new Graph(c).run((x) => {
    const { params } = c;
    const parameters = under(new Map(c.names('param.').map((name) => [name, x(name)])), 'param.');
    const config = {
      inDim: params.in_dim,
      hiddenDim: params.hidden_dim,
      bottleneckDim: params.bottleneck_dim,
      prototypes: params.K,
      layers: params.nlayers,
      normLastLayer: params.norm_last_layer ?? false,
      bias: params.mlp_bias ?? true,
    };
    return { 'out.y': new PrototypeHead(config, parameters).logits(x('in.x')) };
  });

export const weightNormed: Handler = (c) =>
  new Graph(c).run((x) => {
    const weight = weightNorm(x('in.v'), x('in.g'));
    return { 'out.weight': weight, 'out.y': linear(x('in.x'), weight) };
  });
