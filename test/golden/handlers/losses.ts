import { rampThenConstant } from '../../../lib/nn/index.js';
import { dinoLoss, LogitCentering } from '../../../lib/ssl/index.js';
import {
  backward,
  koleo as koleoOp,
  scope,
  type Tensor,
  tensor,
  watch,
  weightedSum,
} from '../../../lib/tensor/index.js';
import type { GoldenCase, Handler } from '../case.js';
import { Graph } from '../graph.js';
import { identity, probabilities, rowsOfStep } from '../logits.js';

export const koleo: Handler = (c) =>
  new Graph(c).run((x) => {
    const { eps, pairwise_eps: pairwiseEps } = c.params;
    const { loss, nearest } = koleoOp(x('in.x'), { eps, normEps: eps, pairwiseEps });
    return { 'out.loss': loss, 'out.nn': nearest };
  }, 'out.loss');

export const koleoProto: Handler = (c) =>
  new Graph(c).run((x) => {
    const { loss, nearest } = koleoOp(x('in.prototypes'), { eps: c.params.eps, normEps: 1e-30 });
    return { 'out.loss': loss, 'out.nn': nearest };
  }, 'out.loss');

/** The vectors give logits; with the identity for prototypes, logits are bottleneck vectors. */
function dinoStep(c: GoldenCase, step: number, prototypes: Tensor, centering: LogitCentering) {
  const { params } = c;
  const temperature = rampThenConstant(
    params.warmup_teacher_temp,
    params.teacher_temp,
    params.warmup_teacher_temp_epochs,
  )(params.epochs[step]);
  return scope(() => {
    const student = watch(rowsOfStep(c, 'in.student', step));
    const teacher = rowsOfStep(c, 'in.teacher', step);
    const bias = centering.bias({ temperature });
    const loss = dinoLoss(
      { z: student, prototypes, temperature: params.student_temp, views: params.ncrops },
      { z: teacher, prototypes, bias, temperature, views: 2 },
    );
    const [gradient] = backward(loss, [student]);
    const q = probabilities(teacher, temperature, bias);
    centering.update({ z: teacher, prototypes, temperature });
    const centre = weightedSum([centering.centre], [1]);
    return { loss, gradient: gradient!, probabilities: q, centre, temperature };
  });
}

export const dino: Handler = async (c) => {
  const { K, epochs, center_momentum: momentum } = c.params;
  const start = c.has('in.center') ? c.input('in.center').values : new Float32Array(K);
  const centering = new LogitCentering(tensor(start, [K]), momentum);
  const prototypes = identity(K);
  const parts: Record<string, number[]> = {};
  const add = (name: string, values: Iterable<number>) => {
    parts[name] ??= [];
    for (const value of values) parts[name].push(value);
  };
  for (let step = 0; step < epochs.length; step++) {
    const result = dinoStep(c, step, prototypes, centering);
    add('out.loss', await result.loss.read());
    add('grad.in.student', await result.gradient.read());
    add('out.teacher_probs', await result.probabilities.read());
    add('out.center', await result.centre.read());
    add('out.teacher_temp', [result.temperature]);
  }
  return { tensors: parts };
};
