import { rampThenConstant } from '../../../lib/nn/index.js';
import {
  dinoLoss,
  dinov2Pairs,
  ibotPatchLoss,
  LogitCentering,
  maskedTokens,
  SinkhornTargets,
  type Targets,
} from '../../../lib/ssl/index.js';
import {
  backward,
  concatRows,
  gatherRows,
  prototypeCrossEntropy,
  scope,
  sliceRows,
  type Tensor,
  tensor,
  watch,
  weightedSum,
  zeros,
} from '../../../lib/tensor/index.js';
import type { GoldenCase, Handler } from '../case.js';
import { Collected, identity, probabilities, rowsOf, rowsOfStep } from '../logits.js';

const copy = (x: Tensor) => weightedSum([x], [1]);

/** The DINO part of DINOv2's loss, its local and global pairs apart. */
export const dinov2Total: Handler = async (c) => {
  const { B, K, n_local: locals, teacher_temp: temperature, student_temp, centering } = c.params;
  const result = new Collected();
  await result.add(
    scope(() => {
      const prototypes = identity(K);
      const global = watch(rowsOf(c, 'in.student_global'));
      const local = locals ? watch(rowsOf(c, 'in.student_local')) : undefined;
      const teacher = { z: rowsOf(c, 'in.teacher'), prototypes, temperature };
      const targets =
        centering === 'sinkhorn' ? new SinkhornTargets() : LogitCentering.fresh(K, 0.9);
      const bias = targets.bias(teacher);
      const pairs = dinov2Pairs(locals, B);
      const part = (z: Tensor, views: number, of: number[]) =>
        prototypeCrossEntropy({
          student: { z, prototypes, temperature: student_temp, views },
          teacher: { ...teacher, bias, views: 2 },
          pairs: of,
        });
      const globalLoss = part(global, 2, pairs.slice(0, 4));
      const localLoss = local ? part(local, locals, pairs.slice(4)) : zeros([]);
      const total = local ? weightedSum([globalLoss, localLoss], [1, 1]) : copy(globalLoss);
      const [dGlobal, dLocal] = backward(total, local ? [global, local] : [global]);
      return {
        'out.global_loss': globalLoss,
        'out.local_loss': localLoss,
        'out.total': total,
        'grad.in.student_global': dGlobal!,
        'grad.in.student_local': dLocal ?? zeros([0, K]),
        'out.teacher_probs': probabilities(teacher.z, temperature, bias),
      };
    }),
  );
  return { tensors: result.tensors };
};

const maskOf = (c: GoldenCase, name: string, step?: number): Uint8Array => {
  const { values, shape } = c.input(name);
  const size = step === undefined ? values.length : values.length / shape[0]!;
  return Uint8Array.from(values).slice((step ?? 0) * size, ((step ?? 0) + 1) * size);
};

const indices = (index: Int32Array) => tensor(index, [index.length]);

/** The patch loss of all tokens under a mask, the centre that of all tokens. */
function fullPatchLoss(
  student: Tensor,
  teacher: Tensor,
  mask: Uint8Array,
  images: number,
  targets: LogitCentering,
  temperatures: [number, number],
) {
  const [studentTemperature, temperature] = temperatures;
  const prototypes = identity(student.shape[1]!);
  const { index, weight } = maskedTokens(mask, images);
  const rows = indices(index);
  const bias = targets.bias({ temperature });
  const loss = ibotPatchLoss(
    { z: gatherRows(student, rows), prototypes, temperature: studentTemperature },
    { z: gatherRows(teacher, rows), prototypes, temperature, bias },
    weight,
  );
  targets.update({ z: teacher, prototypes, temperature });
  return { loss, bias };
}

export const patchFull: Handler = async (c) => {
  const { B, student_temp, teacher_temp, center_momentum } = c.params;
  const { values, shape } = c.input('in.center');
  const targets = new LogitCentering(tensor(values, shape), center_momentum);
  const result = new Collected();
  await result.add(
    scope(() => {
      const student = watch(rowsOf(c, 'in.student'));
      const teacher = rowsOf(c, 'in.teacher');
      const temperatures: [number, number] = [student_temp, teacher_temp];
      const { loss, bias } = fullPatchLoss(
        student,
        teacher,
        maskOf(c, 'in.mask'),
        B,
        targets,
        temperatures,
      );
      const [gradient] = backward(loss, [student]);
      return {
        'out.loss': loss,
        'grad.in.student': gradient!,
        'out.teacher_probs': probabilities(teacher, teacher_temp, bias),
        'out.center': copy(targets.centre),
      };
    }),
  );
  return { tensors: result.tensors };
};

function maskedStep(c: GoldenCase, t: number, targets: Targets) {
  const { B, student_temp, teacher_temp: temperature } = c.params;
  return scope(() => {
    const student = watch(rowsOf(c, `in.student.${t}`));
    const z = rowsOf(c, `in.teacher.${t}`);
    const teacher = { z, prototypes: identity(z.shape[1]!), temperature };
    const bias = targets.bias(teacher);
    const listed = maskedTokens(maskOf(c, `in.mask.${t}`), B).weight;
    const given = c.has(`in.weight.${t}`) ? c.input(`in.weight.${t}`).values : undefined;
    const weight = given ? Float32Array.from(given, (w) => w / B) : listed;
    const loss = ibotPatchLoss(
      {
        z: sliceRows(student, 0, z.shape[0]!),
        prototypes: teacher.prototypes,
        temperature: student_temp,
      },
      { ...teacher, bias },
      weight,
    );
    const [gradient] = backward(loss, [student]);
    targets.update(teacher);
    return {
      [`out.loss.${t}`]: loss,
      [`grad.in.student.${t}`]: gradient!,
      [`out.teacher_probs.${t}`]: probabilities(z, temperature, bias!),
    };
  });
}

export const patchMasked: Handler = async (c) => {
  const { K, steps, centering, center_momentum } = c.params;
  const softmax = centering === 'softmax' ? LogitCentering.fresh(K, center_momentum) : undefined;
  const targets = softmax ?? new SinkhornTargets();
  const result = new Collected();
  for (let t = 0; t < steps; t++) await result.add(maskedStep(c, t, targets));
  if (softmax) await result.add({ 'out.center': softmax.centre });
  return { tensors: result.tensors };
};

/** The teacher temperatures of an epoch: of the CLS token and of the patches. */
function temperaturesOf(c: GoldenCase, epoch: number): [number, number] {
  const p = c.params;
  const ramp = (from: number, to: number) =>
    rampThenConstant(from, to, p.warmup_teacher_temp_epochs)(epoch);
  return [
    ramp(p.warmup_teacher_temp, p.teacher_temp),
    ramp(p.warmup_teacher_temp2, p.teacher_temp2),
  ];
}

function ibotStep(c: GoldenCase, t: number, cls: LogitCentering, patch: LogitCentering) {
  const { B, K, n_local: locals, epochs, lambda1, lambda2, student_temp } = c.params;
  const [clsTemperature, patchTemperature] = temperaturesOf(c, epochs[t]);
  return scope(() => {
    const names = ['in.student_cls', ...(locals ? ['in.student_local'] : []), 'in.student_patch'];
    const students = names.map((name) => watch(rowsOfStep(c, name, t)));
    const views = students.slice(0, -1);
    const z = views.length > 1 ? concatRows(views) : views[0]!;
    const prototypes = identity(K);
    const teacher = {
      z: rowsOfStep(c, 'in.teacher_cls', t),
      prototypes,
      temperature: clsTemperature,
    };
    const dino = dinoLoss(
      { z, prototypes, temperature: student_temp, views: 2 + locals },
      { ...teacher, bias: cls.bias(teacher), views: 2 },
    );
    cls.update(teacher);
    const patches = rowsOfStep(c, 'in.teacher_patch', t);
    const mask = maskOf(c, 'in.mask', t);
    const temperatures: [number, number] = [student_temp, patchTemperature];
    const masked = fullPatchLoss(students.at(-1)!, patches, mask, 2 * B, patch, temperatures).loss;
    const total = weightedSum([dino, masked], [lambda1, lambda2]);
    const gradients = backward(total, students);
    const losses = concatRows(
      [weightedSum([dino], [lambda1]), weightedSum([masked], [lambda2]), total].map((x) =>
        x.reshape([1, 1]),
      ),
    );
    return {
      'out.losses': losses,
      'out.center': copy(cls.centre),
      'out.center_patch': copy(patch.centre),
      ...Object.fromEntries(names.map((name, i) => [`grad.${name}`, gradients[i]!])),
    };
  });
}

export const ibotOfficial: Handler = async (c) => {
  const { K, K_patch, epochs, center_momentum, center_momentum2 } = c.params;
  const cls = LogitCentering.fresh(K, center_momentum);
  const patch = LogitCentering.fresh(K_patch, center_momentum2);
  const result = new Collected();
  for (let t = 0; t < epochs.length; t++) await result.add(ibotStep(c, t, cls, patch));
  return { tensors: result.tensors };
};
