import {
  backward,
  dot,
  linear,
  scope,
  softmax,
  type Tensor,
  tensor,
  vmfLogNormalizer,
  watch,
  weightedSum,
} from '../../../lib/tensor/index.js';
import type { GoldenCase, Handler } from '../case.js';
import { Collected } from '../logits.js';

type Numbers = Float32Array | Float64Array;

/** Prototypes of the given norms, along the first axis. */
function prototypesOf(kappa: Numbers, P: number): Numbers {
  const w = kappa.slice().length * P;
  const values = kappa instanceof Float64Array ? new Float64Array(w) : new Float32Array(w);
  kappa.forEach((k, i) => {
    values[i * P] = k;
  });
  return values;
}

async function normalizer(
  kappa: Numbers,
  P: number,
): Promise<{ value: number[]; slope: number[] }> {
  const { y, gradient } = scope(() => {
    const w = watch(tensor(prototypesOf(kappa, P), [kappa.length, P]));
    const y = vmfLogNormalizer(w, 1);
    const ones = kappa.slice().fill(1);
    const [gradient] = backward(dot(y, tensor(ones, [kappa.length])), [w]);
    return { y, gradient: gradient! };
  });
  const gradients = await gradient.read();
  const value = Array.from(await y.read(), Number);
  return { value, slope: value.map((_, i) => Number(gradients[i * P])) };
}

export const logNormalizer: Handler = async (c) => {
  const { p: P, log_c_at_0: constant } = c.params;
  const kappa = Float32Array.from(c.input('in.kappa').values);
  const single = await normalizer(kappa, P);
  const double = await normalizer(Float64Array.from(kappa), P);
  return {
    tensors: {
      'out.log_c_rel': single.value,
      'out.log_c': single.value.map((v) => v + constant),
      'out.dlog_c': single.slope,
      'out.log_c_rel_f64': double.value,
      'out.log_c_f64': double.value.map((v) => v + constant),
      'out.dlog_c_f64': double.slope,
    },
  };
};

function logitsOf(c: GoldenCase, double: boolean) {
  const { temp, log_c_at_0: constant } = c.params;
  const input = (name: string): Tensor => {
    const { values, shape } = c.input(name);
    return tensor(double ? Float64Array.from(values) : values, shape);
  };
  return scope(() => {
    const [y, w] = [watch(input('in.y')), watch(input('in.w'))];
    const [B, K] = [y.shape[0]!, w.shape[0]!];
    const bias = vmfLogNormalizer(w, temp);
    const column = (values: number[], size: number) =>
      tensor(double ? Float64Array.from(values) : Float32Array.from(values), [size, 1]);
    const shift = linear(column(Array(B).fill(1), B), bias.reshape([K, 1]));
    const logits = weightedSum([linear(y, w), shift], [1 / temp, 1]);
    const [dy, dw] = backward(dot(logits, input('in.grad_logits')), [y, w]);
    const norms = Array.from({ length: K }, (_, k) => {
      const row = Array.from(c.input('in.w').values).slice(k * y.shape[1]!, (k + 1) * y.shape[1]!);
      return Math.hypot(...row) / temp;
    });
    return { logits, probs: softmax(logits), dy: dy!, dw: dw!, norms, constant };
  });
}

/** The package leaves out log C(0), which no probability or gradient sees. */
export const logits: Handler = async (c) => {
  const single = logitsOf(c, false);
  const double = logitsOf(c, true);
  const result = new Collected();
  await result.add({
    'out.logits': single.logits,
    'out.probs': single.probs,
    'out.logits_f64': double.logits,
    'grad.in.y': single.dy,
    'grad.in.w': single.dw,
  });
  for (const name of ['out.logits', 'out.logits_f64'])
    result.tensors[name] = result.tensors[name]!.map((v) => v + single.constant);
  return { tensors: { ...result.tensors, 'out.kappa': single.norms } };
};
