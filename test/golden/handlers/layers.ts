// Layers of the vision transformer, one op or a few at a time.
import * as ops from '../../../lib/tensor/index.js';
import { backward, dot, scope, type Tensor, tensor, watch } from '../../../lib/tensor/index.js';
import type { GoldenCase, GoldenTensor, Handler } from '../case.js';
import { Graph, type Inputs } from '../graph.js';

const unary =
  (op: (x: Tensor, c: GoldenCase) => Tensor): Handler =>
  (c) =>
    new Graph(c).run((x) => ({ 'out.y': op(x('in.x'), c) }));

const optional = (c: GoldenCase, x: Inputs, name: string) => (c.has(name) ? x(name) : undefined);

export const linear: Handler = (c) =>
  new Graph(c).run((x) => ({
    'out.y': ops.linear(x('in.x'), x('in.weight'), optional(c, x, 'in.bias')),
  }));

export const layerNorm: Handler = (c) =>
  new Graph(c).run((x) => ({
    'out.y': ops.layerNorm(x('in.x'), x('in.weight'), x('in.bias'), c.params.eps),
  }));

export const gelu = unary((x) => ops.gelu(x));
export const softmax = unary((x, { params }) =>
  params.log ? ops.logSoftmax(x, params.temp) : ops.softmax(x, params.temp),
);
export const l2Normalize = unary((x, { params }) => ops.l2Normalize(x, params.eps));
export const interpolate = unary((x, { params }) =>
  ops.interpolate(x, {
    height: params.out_hw[0],
    width: params.out_hw[1],
    mode: params.mode,
    antialias: params.antialias,
    offset: params.offset,
  }),
);

export const patchEmbed: Handler = (c) =>
  new Graph(c).run((x) => ({
    'out.y': ops.patchEmbed(x('in.x'), x('in.weight'), optional(c, x, 'in.bias')),
  }));

export const dropPath: Handler = (c) =>
  new Graph(c).run((x) => {
    const { values, shape } = c.input('in.mask');
    const keep = tensor(Float32Array.from(values), shape);
    return { 'out.y': ops.residual(x('in.x'), x('in.branch'), { keep, drop: c.params.drop }) };
  });

export const layerScale: Handler = (c) =>
  new Graph(c).run((x) => {
    const branch = x('in.x');
    const nothing = ops.zeros(branch.shape);
    return { 'out.y': ops.residual(nothing, branch, { gamma: x('param.gamma') }) };
  });

export const softCrossEntropy: Handler = (c) =>
  new Graph(c).run((x) => {
    const rows = ops.softCrossEntropy(x('in.logits'), x('in.target'), c.params.temp);
    const mean = ops.meanRows(rows.reshape([rows.size, 1])).reshape([]);
    return { 'out.per_row': rows, 'out.loss': mean };
  }, 'out.loss');

export const mha: Handler = (c) =>
  new Graph(c).run((x) => {
    const qkv = ops.linear(x('in.x'), x('param.qkv.weight'), optional(c, x, 'param.qkv.bias'));
    const heads = c.params.heads;
    const y = ops.attention(qkv, { heads });
    return {
      'out.probs': ops.attentionProbabilities(qkv, { heads }),
      'out.y': ops.linear(y, x('param.proj.weight'), optional(c, x, 'param.proj.bias')),
    };
  });

export const mlp: Handler = (c) =>
  new Graph(c).run((x) => {
    const parameter = (name: string) => x(`param.${name}`);
    const bias = (name: string) => optional(c, x, `param.${name}.bias`);
    if (c.params.kind === 'swiglu') {
      const both = ops.linear(x('in.x'), parameter('w12.weight'), bias('w12'));
      const y = ops.linear(ops.swiglu(both), parameter('w3.weight'), bias('w3'));
      return { 'out.y': y };
    }
    const hidden = ops.linearGelu(x('in.x'), parameter('fc1.weight'), bias('fc1'));
    return { 'out.y': ops.linear(hidden, parameter('fc2.weight'), bias('fc2')) };
  });

/** (B, H, N, d) three times -> (B, N, 3 H d), rows [q; k; v] head-major. */
function joinHeads(parts: GoldenTensor[]): Tensor {
  const [B, H, N, d] = parts[0]!.shape as [number, number, number, number];
  const joined = new Float32Array(B * N * parts.length * H * d);
  parts.forEach(({ values }, p) => {
    for (let i = 0; i < values.length; i++)
      joined[rowOf(i, [B, H, N, d], parts.length, p)] = values[i]!;
  });
  return tensor(joined, [B, N, parts.length * H * d]);
}

/** Where element i of part p of (B, H, N, d) stands in (B, N, parts H d). */
function rowOf(
  i: number,
  [, H, N, d]: [number, number, number, number],
  parts: number,
  p: number,
): number {
  const [b, h, n, j] = [
    Math.floor(i / (H * N * d)),
    Math.floor(i / (N * d)) % H,
    Math.floor(i / d) % N,
    i % d,
  ];
  return ((b * N + n) * parts + p) * H * d + h * d + j;
}

function splitHeads(values: ArrayLike<number>, shape: number[], parts: number, p: number) {
  const dims = shape as [number, number, number, number];
  const size = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: size }, (_, i) => values[rowOf(i, dims, parts, p)]!);
}

/** The vectors keep heads apart; the op takes them as the qkv projection gives them. */
export const attention: Handler = async (c) => {
  const parts = ['in.q', 'in.k', 'in.v'].map((name) => c.input(name));
  const shape = parts[0]!.shape;
  const results = scope(() => {
    const qkv = watch(joinHeads(parts));
    const options = { heads: shape[1]!, scale: c.params.scale };
    const y = ops.attention(qkv, options);
    const probs = ops.attentionProbabilities(qkv, options);
    const [gradient] = backward(dot(y, joinHeads([c.input('in.grad_y')])), [qkv]);
    return { y, probs, gradient: gradient! };
  });
  const gradient = await results.gradient.read();
  return {
    tensors: {
      'out.y': splitHeads(await results.y.read(), shape, 1, 0),
      'out.probs': await results.probs.read(),
      'grad.in.q': splitHeads(gradient, shape, 3, 0),
      'grad.in.k': splitHeads(gradient, shape, 3, 1),
      'grad.in.v': splitHeads(gradient, shape, 3, 2),
    },
  };
};
