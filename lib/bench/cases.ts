// What `protea bench` times. Each case gives the same work to the peer by name and shape.
import { AdamW, initialise, normals, vitDefaults } from '../nn/index.js';
import { dinoLoss, koleoProto, Method, methodParameters } from '../ssl/index.js';
import {
  attention,
  backward,
  dot,
  l2Normalize,
  linear,
  scope,
  type Tensor,
  tensor,
  watch,
  zeros,
} from '../tensor/index.js';

export interface Case {
  op: string;
  shape: Record<string, number>;
  /** Prepares the work; the function it returns does it once and gives what must be awaited. */
  prepare(): () => Tensor;
}

const studentTemperature = 0.1;
const teacherTemperature = 0.04;

const random = (shape: number[], seed: number) =>
  tensor(
    normals(
      seed,
      0,
      0,
      shape.reduce((a, b) => a * b, 1),
    ),
    shape,
  );

const unit = (rows: number, dim: number, seed: number) => l2Normalize(random([rows, dim], seed));

/** Forward and backward to `wanted`; the loss is what is awaited. */
const differentiated = (loss: () => Tensor, wanted: readonly Tensor[]) => () =>
  scope(() => {
    const value = loss();
    backward(value, wanted);
    return value;
  });

function crossEntropy(prototypes: number, images: number, dim: number): Case {
  const views = 10;
  return {
    op: 'prototype_cross_entropy',
    shape: { prototypes, images, dim, views },
    prepare: () => {
      const z = watch(unit(views * images, dim, 1));
      const w = watch(unit(prototypes, dim, 2));
      const teacher = { z: unit(2 * images, dim, 3), prototypes: unit(prototypes, dim, 4) };
      const bias = zeros([prototypes]);
      return differentiated(
        () =>
          dinoLoss(
            { z, prototypes: w, temperature: studentTemperature, views },
            { ...teacher, bias, temperature: teacherTemperature, views: 2 },
          ),
        [z, w],
      );
    },
  };
}

const koleoCase = (prototypes: number, dim: number): Case => ({
  op: 'koleo',
  shape: { prototypes, dim },
  prepare: () => {
    const w = watch(random([prototypes, dim], 1));
    return differentiated(() => koleoProto(w), [w]);
  },
});

const linearCase = (rows: number, inputs: number, outputs: number): Case => ({
  op: 'linear',
  shape: { rows, in: inputs, out: outputs },
  prepare: () => {
    const [x, w] = [watch(random([rows, inputs], 1)), watch(random([outputs, inputs], 2))];
    const b = watch(zeros([outputs]));
    const up = random([rows, outputs], 3);
    return differentiated(() => dot(linear(x, w, b), up), [x, w, b]);
  },
});

const attentionCase = (images: number, tokens: number, dim: number, heads: number): Case => ({
  op: 'attention',
  shape: { images, tokens, dim, heads },
  prepare: () => {
    const qkv = watch(random([images, tokens, 3 * dim], 1));
    const up = random([images, tokens, dim], 2);
    return differentiated(() => dot(attention(qkv, { heads }), up), [qkv]);
  },
});

const stepShape = {
  dim: 128,
  depth: 6,
  heads: 4,
  patch: 4,
  globalSize: 32,
  localSize: 16,
  locals: 8,
  images: 16,
  hidden: 2048,
  bottleneck: 256,
  prototypes: 4096,
};

/** A whole step of DINO: teacher, student, loss, backward, AdamW with clipping, EMA, centre. */
export function stepCase(s: typeof stepShape, koleoWeight: number): Case {
  return {
    op: koleoWeight ? 'step with koleo-proto' : 'step',
    shape: s,
    prepare: () => {
      const config = {
        backbone: {
          ...vitDefaults,
          imageSize: s.globalSize,
          patchSize: s.patch,
          dim: s.dim,
          depth: s.depth,
          heads: s.heads,
        },
        head: {
          inDim: s.dim,
          hiddenDim: s.hidden,
          bottleneckDim: s.bottleneck,
          prototypes: s.prototypes,
          layers: 3,
          normLastLayer: true,
          bias: true,
        },
        studentTemperature,
        centerMomentum: 0.9,
        regularizers: { koleoProto: koleoWeight, koleo: 0 },
      };
      const specs = methodParameters(config).student;
      const [student, teacher] = [initialise(specs, 0), initialise(specs, 0)];
      for (const p of student.values()) watch(p);
      const method = new Method(config, student, teacher);
      const optimiser = new AdamW(student, teacher);
      const global = random([2 * s.images, 3, s.globalSize, s.globalSize], 1);
      const local = random([s.locals * s.images, 3, s.localSize, s.localSize], 2);
      const batch = { images: s.images, global, globalViews: 2, local, localViews: s.locals };
      return () =>
        scope(() => {
          const { total } = method.losses(batch, { teacherTemperature });
          const found = backward(total, [...student.values()]);
          const gradients = new Map([...student.keys()].map((name, i) => [name, found[i]]));
          optimiser.step(gradients, { lr: 5e-4, weightDecay: 0.04, clip: 3, momentum: 0.996 });
          return total;
        });
    },
  };
}

export const cases: readonly Case[] = [
  linearCase(2080, 128, 512),
  linearCase(2080, 512, 128),
  attentionCase(32, 65, 128, 4),
  crossEntropy(4096, 8, 256),
  crossEntropy(65536, 8, 256),
  koleoCase(4096, 256),
  koleoCase(16384, 256),
  stepCase(stepShape, 0),
  stepCase(stepShape, 0.1),
];
