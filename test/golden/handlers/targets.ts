import {
  LogitCentering,
  meMax as meMaxOf,
  ProbabilityCentering,
  SinkhornTargets,
} from '../../../lib/ssl/index.js';
import {
  backward,
  meanRows,
  prototypeCrossEntropy,
  scope,
  softmax,
  watch,
  weightedSum,
} from '../../../lib/tensor/index.js';
import type { GoldenCase, Handler } from '../case.js';
import { Graph } from '../graph.js';
import { Collected, identity, probabilities, rowsOf, rowsOfStep } from '../logits.js';

/**
 * The variants of the references differ by factors that cancel in the last turn. In double, as
 * logits of 500 in single precision are off by 3e-5.
 */
export const sinkhorn: Handler = async (c) => {
  const { K, temp: temperature, iterations } = c.params;
  const result = new Collected();
  await result.add(
    scope(() => {
      const z = rowsOf(c, 'in.logits', Float64Array);
      const prototypes = identity(K, Float64Array);
      const bias = new SinkhornTargets({ iterations }).bias({ z, prototypes, temperature });
      return { 'out.q': probabilities(z, temperature, bias) };
    }),
  );
  return { tensors: result.tensors };
};

/** One step of probability centering on two crops, each the other's target. */
function centeredStep(c: GoldenCase, step: number, centering: ProbabilityCentering) {
  const { B, K, teacher_temp: temperature, student_temp } = c.params;
  const prototypes = identity(K);
  return scope(() => {
    const student = watch(rowsOfStep(c, 'in.student', step));
    const teacher = { z: rowsOfStep(c, 'in.teacher', step), prototypes, temperature };
    const bias = centering.bias({});
    const loss = prototypeCrossEntropy({
      student: { z: student, prototypes, temperature: student_temp, views: 2 },
      teacher: { ...teacher, bias, views: 2 },
      pairs: [0, 1 / (2 * B), 1 / (2 * B), 0],
    });
    const [gradient] = backward(loss, [student]);
    centering.update(teacher);
    return {
      'out.loss': loss,
      'grad.in.student': gradient!,
      'out.teacher_probs': probabilities(teacher.z, temperature, bias),
      'out.log_center': weightedSum([centering.logCentre], [1]),
    };
  });
}

export const probCentering: Handler = async (c) => {
  const { K, steps, momentum, ema } = c.params;
  const mean = ema === 'log' ? 'logarithms' : 'probabilities';
  const centering = ProbabilityCentering.fresh(K, momentum, mean);
  const result = new Collected();
  for (let step = 0; step < steps; step++) await result.add(centeredStep(c, step, centering));
  return { tensors: result.tensors };
};

export const meMax: Handler = (c) =>
  new Graph(c).run((x) => {
    const p = softmax(x('in.logits'), c.params.temp);
    return { 'out.loss': meMaxOf(p), 'out.mean_probs': meanRows(p) };
  }, 'out.loss');

/** One step of DINOv2's CLS loss: every student crop against both teacher crops, summed. */
function dinov2Step(c: GoldenCase, step: number, centering: LogitCentering) {
  const { B, K, n_student: views, teacher_temps, student_temp } = c.params;
  const temperature = teacher_temps[step];
  const prototypes = identity(K);
  return scope(() => {
    const student = watch(rowsOfStep(c, 'in.student', step));
    const teacher = { z: rowsOfStep(c, 'in.teacher', step), prototypes, temperature };
    const bias = centering.bias({ temperature });
    const loss = prototypeCrossEntropy({
      student: { z: student, prototypes, temperature: student_temp, views },
      teacher: { ...teacher, bias, views: 2 },
      pairs: Array(2 * views).fill(1 / B),
    });
    const [gradient] = backward(loss, [student]);
    const used = weightedSum([centering.centre], [1]);
    centering.update(teacher);
    return {
      'out.loss': loss,
      'grad.in.student': gradient!,
      'out.teacher_probs': probabilities(teacher.z, temperature, bias),
      'out.center_used': used,
    };
  });
}

export const dinov2Softmax: Handler = async (c) => {
  const centering = LogitCentering.fresh(c.params.K, c.params.center_momentum);
  const result = new Collected();
  for (let step = 0; step < c.params.teacher_temps.length; step++)
    await result.add(dinov2Step(c, step, centering));
  await result.add({ 'out.center_final': centering.centre });
  return { tensors: result.tensors };
};

export const dinov2Sinkhorn: Handler = async (c) => {
  const { B, K, n_student: views, teacher_temp: temperature, student_temp, iterations } = c.params;
  const result = new Collected();
  await result.add(
    scope(() => {
      const prototypes = identity(K);
      const student = watch(rowsOf(c, 'in.student'));
      const teacher = { z: rowsOf(c, 'in.teacher'), prototypes, temperature };
      const bias = new SinkhornTargets({ iterations }).bias(teacher);
      const loss = prototypeCrossEntropy({
        student: { z: student, prototypes, temperature: student_temp, views },
        teacher: { ...teacher, bias, views: 2 },
        pairs: Array(2 * views).fill(1 / B),
      });
      const [gradient] = backward(loss, [student]);
      return {
        'out.loss': loss,
        'grad.in.student': gradient!,
        'out.teacher_probs': probabilities(teacher.z, temperature, bias),
      };
    }),
  );
  return { tensors: result.tensors };
};
