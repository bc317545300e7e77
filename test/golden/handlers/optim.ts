import {
  AdamW,
  cosine,
  isDecayed,
  layerwiseMultipliers,
  type Parameters,
  rampThenConstant,
  under,
  vitDefaults,
  vitParameters,
} from '../../../lib/nn/index.js';
import { Method, prototypeHeadParameters } from '../../../lib/ssl/index.js';
import {
  backward,
  concatRows,
  emaUpdate,
  scope,
  type Tensor,
  tensor,
  watch,
} from '../../../lib/tensor/index.js';
import type { GoldenCase, Handler } from '../case.js';

class Collected {
  readonly tensors: Record<string, number[]> = {};

  async add(name: string, value: Tensor): Promise<void> {
    this.tensors[name] ??= [];
    for (const v of await value.read()) this.tensors[name].push(v);
  }
}

/** Item `step` of an input whose first dimension counts steps. */
function atStep(c: GoldenCase, name: string, step: number): Tensor {
  const { values, shape } = c.input(name);
  const size = values.length / shape[0]!;
  return tensor(values.slice(step * size, (step + 1) * size), shape.slice(1));
}

export const adamw: Handler = async (c) => {
  const { params } = c;
  const order = declared(params.decayed, params.not_decayed);
  const parameters: Parameters = new Map(
    order.map((name) => {
      const { values, shape } = c.input(`in.${name}`);
      return [name, tensor(values, shape)];
    }),
  );
  const optimiser = new AdamW(parameters, new Map(), {
    beta1: params.betas[0],
    beta2: params.betas[1],
    eps: params.eps,
    clipMode: params.clip_mode ?? 'none',
  });
  const collected = new Collected();
  for (let step = 0; step < params.lr.length; step++) {
    const frozen = (name: string) => step < (params.frozen_until_step[name] ?? 0);
    const gradients = new Map(
      [...parameters.keys()].map((name) => [name, atStep(c, `in.grad.${name}`, step)]),
    );
    const norms = optimiser.step(gradients, {
      lr: params.lr[step],
      weightDecay: params.wd[step],
      clip: params.clip ?? 0,
      momentum: 1,
      frozen,
    });
    await addNorms(collected, params.clip_mode, norms, [...gradients.values()]);
    for (const [name, p] of parameters) await collected.add(`out.${name}`, p);
  }
  for (const [name, state] of optimiser.state()) await collected.add(`out.${name}`, state);
  return { tensors: collected.tensors };
};

/** The order of declaration: each module's bias follows its weight. */
function declared(decayed: string[], rest: string[]): string[] {
  const moduleOf = (name: string) => name.replace(/\.[^.]*$/, '');
  const together = decayed.flatMap((name) => [
    name,
    ...rest.filter((other) => other.includes('.') && moduleOf(other) === moduleOf(name)),
  ]);
  return [...together, ...rest.filter((name) => !together.includes(name))];
}

/** The official code takes the norms of frozen parameters too, before it drops their gradients. */
async function addNorms(to: Collected, mode: string | null, norms: Tensor, gradients: Tensor[]) {
  const seen = Array.from(await norms.read());
  if (mode === 'global') return to.add('out.grad_norms', tensor([Math.hypot(...seen)], [1]));
  for (const [i, gradient] of gradients.entries())
    if (seen[i] === 0) seen[i] = Math.hypot(...(await gradient.read()));
  return to.add('out.grad_norms', tensor(seen, [seen.length]));
}

export const ema: Handler = async (c) => {
  const { values, shape } = c.input('in.teacher');
  const teacher = tensor(values, shape);
  const collected = new Collected();
  for (const [step, momentum] of c.params.momentum.entries()) {
    emaUpdate(teacher, atStep(c, 'in.student', step), momentum);
    await collected.add('out.teacher', teacher);
  }
  return { tensors: collected.tensors };
};

export const schedule: Handler = async (c) => {
  const { params } = c;
  const perEpoch = params.niter_per_ep ?? 1;
  const value = cosine({
    base: params.base_value,
    final: params.final_value,
    total: params.total_iters ?? params.epochs * perEpoch,
    warmup: params.warmup_iters ?? (params.warmup_epochs ?? 0) * perEpoch,
    start: params.start_warmup_value ?? 0,
    freeze: params.freeze_iters ?? 0,
  });
  const values = Array.from(c.input('in.iteration').values, value);
  return { tensors: { 'out.value': values, 'out.value_f64': values } };
};

export const teacherTemperature: Handler = async ({ params }) => {
  const temperature = rampThenConstant(
    params.warmup_teacher_temp,
    params.teacher_temp,
    params.warmup_teacher_temp_epochs,
  );
  const values = Array.from({ length: params.nepochs }, (_, epoch) => temperature(epoch));
  return { tensors: { 'out.value': values, 'out.value_f64': values } };
};

const backboneOf = (params: GoldenCase['params'], imageSize: number, patchSize: number) => ({
  ...vitDefaults,
  imageSize,
  patchSize,
  dim: params.embed_dim,
  depth: params.depth,
  heads: params.heads,
});

const headOf = (params: GoldenCase['params']) => ({
  inDim: params.embed_dim,
  hiddenDim: params.hidden_dim ?? 2048,
  bottleneckDim: params.bottleneck_dim ?? 256,
  prototypes: params.K,
  layers: 3,
  normLastLayer: params.norm_last_layer,
  bias: true,
});

/** Only the names matter here, so any image size does. */
export const parameterGroups: Handler = async ({ params }) => {
  const backbone = backboneOf(params, 32, 8);
  const head = headOf(params);
  const dino = [
    ...vitParameters(backbone).map((p) => ({ ...p, name: `backbone.${p.name}` })),
    ...prototypeHeadParameters(head).map((p) => ({ ...p, name: `head.${p.name}` })),
  ];
  const named = (decayed: boolean) =>
    dino.filter((p) => isDecayed(p.name, p.shape) === decayed).map((p) => p.name);
  const dinov2 = vitParameters({ ...backbone, layerScale: 1, maskToken: true, registers: 4 });
  const rows = (specs: { name: string }[], depth: number) =>
    specs.map(({ name }) => {
      const multipliers = layerwiseMultipliers(name, {
        depth,
        decay: depth ? params.layerwise_decay : 1,
        patchEmbed: params.patch_embed_lr_mult,
      });
      return {
        name,
        lr_multiplier: multipliers.lr,
        wd_multiplier: multipliers.weightDecay,
        is_last_layer: multipliers.isLastLayer,
      };
    });
  return {
    expected: {
      dino: { decayed: named(true), not_decayed: named(false) },
      dinov2_backbone: rows(dinov2, params.depth),
      dinov2_head: rows(prototypeHeadParameters({ ...head, normLastLayer: false }), 0),
    },
  };
};

/** Whole steps of DINO: crops in, parameters, centre, norms and losses out. */
export const trainSteps: Handler = async (c) => {
  const { params } = c;
  const load = (): Parameters =>
    under(
      new Map(
        c.names('param.').map((name) => {
          const { values, shape } = c.input(name);
          return [name, tensor(values, shape)];
        }),
      ),
      'param.',
    );
  const [student, teacher] = [load(), load()];
  const names = learntNames(c, params);
  for (const name of names) watch(student.get(name)!);
  const config = {
    backbone: backboneOf(params, params.image, params.patch),
    head: headOf(params),
    studentTemperature: params.student_temp,
    centerMomentum: params.center_momentum,
    regularizers: { koleoProto: 0, koleo: 0 },
  };
  const method = new Method(config, student, teacher);
  const learnt = new Map(names.map((name) => [name, student.get(name)!]));
  const optimiser = new AdamW(learnt, teacher, {
    beta1: params.betas[0],
    beta2: params.betas[1],
    eps: params.eps,
  });
  const collected = new Collected();
  for (let step = 0; step < params.steps; step++)
    await trainStep(c, step, method, optimiser, learnt, collected);
  for (const [name, p] of student) await collected.add(`out.student.${name}`, p);
  for (const [name, p] of teacher) await collected.add(`out.teacher.${name}`, p);
  return { tensors: collected.tensors };
};

/** Learnt parameters in the order of the vectors' norms: that of the official state dict. */
function learntNames(c: GoldenCase, params: GoldenCase['params']): string[] {
  const backbone = vitParameters(backboneOf(params, params.image, params.patch));
  const head = prototypeHeadParameters(headOf(params));
  const names = [
    ...backbone.map((p) => `backbone.${p.name}`),
    ...head.map((p) => `head.${p.name}`),
  ];
  const missing = names.filter((name) => !c.has(`param.${name}`));
  if (missing.length) throw new Error(`${c.id} has no ${missing.join(', ')}`);
  return names;
}

async function trainStep(
  c: GoldenCase,
  step: number,
  method: Method,
  optimiser: AdamW,
  learnt: Parameters,
  collected: Collected,
): Promise<void> {
  const { params } = c;
  const epoch = params.epochs[step];
  const temperature = rampThenConstant(
    params.warmup_teacher_temp,
    params.teacher_temp,
    params.warmup_teacher_temp_epochs,
  )(epoch);
  const crops = params.crops.map((_: number, i: number) => atStep(c, `in.crop.${i}`, step));
  const join = (views: Tensor[]) =>
    concatenated(
      views.map((view) => view.reshape([view.shape[0]!, view.size / view.shape[0]!])),
      views[0]!.shape,
    );
  const results = scope(() => {
    const { total } = method.losses(
      {
        images: params.B,
        global: join(crops.slice(0, 2)),
        globalViews: 2,
        local: crops.length > 2 ? join(crops.slice(2)) : undefined,
        localViews: crops.length - 2,
      },
      { teacherTemperature: temperature },
    );
    const found = backward(total, [...learnt.values()]);
    const gradients = new Map([...learnt.keys()].map((name, i) => [name, found[i]]));
    const norms = optimiser.step(gradients, {
      lr: params.lr[step],
      weightDecay: params.wd[step],
      clip: params.clip,
      momentum: params.momentum[step],
      frozen: (name) => name.includes('last_layer') && epoch < params.freeze_last_layer,
    });
    return { total, gradients, norms };
  });
  await collected.add('out.loss', results.total);
  await collected.add('out.center', method.state.get('centre')!);
  if (step === 0)
    for (const [name, gradient] of results.gradients)
      await collected.add(`out.first_grad.${name}`, gradient!);
  const norms = await Promise.all(
    [...results.gradients.values()].map(async (g) => Math.hypot(...(await g!.read()))),
  );
  await collected.add('out.grad_norms', tensor(norms, [norms.length]));
}

const concatenated = (views: Tensor[], shape: readonly number[]) =>
  concatRows(views).reshape([views.length * shape[0]!, ...shape.slice(1)]);
