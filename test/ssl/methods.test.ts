// Every method, with every way its prototypes can learn, on a few synthetic images.
import test from 'ava';
import { native } from '../../lib/native.js';
import { AdamW, initialise, vitConfig } from '../../lib/nn/index.js';
import {
  type CropBatch,
  Method,
  type MethodConfig,
  type MethodName,
  methodNames,
  methodParameters,
  type PrototypeLearning,
  prototypeLearnings,
  recipes,
} from '../../lib/ssl/index.js';
import { backward, scope, type Tensor, tensor, watch } from '../../lib/tensor/index.js';
import { pseudo } from '../support/check-op.js';

const images = 6;
const patches = 16;
const crops = (views: number, size: number) =>
  tensor(pseudo(views * images * 3 * size * size, size), [views * images, 3, size, size]);

function batchFor(method: MethodName): CropBatch {
  const { globalCrops, localCrops, masks, dropsPatches } = recipes[method];
  const mask = Uint8Array.from({ length: globalCrops * images * patches }, (_, i) =>
    Number(i % 3 === 0 && i % (2 * patches) < patches),
  );
  return {
    images,
    global: crops(globalCrops, 16),
    globalViews: globalCrops,
    local: localCrops === 'unused' ? undefined : crops(2, 8),
    localViews: localCrops === 'unused' ? 0 : 2,
    mask: masks ? mask : undefined,
    visible: dropsPatches ? Int32Array.from([0, 2, 3, 5, 8, 9, 14, 15]) : undefined,
  };
}

function configFor(method: MethodName, learning: PrototypeLearning): MethodConfig {
  const vmf = method.endsWith('-vmf');
  const shared = method === 'msn';
  const backbone = vitConfig('vit-nano', {
    imageSize: 16,
    patchSize: 4,
    depth: 2,
    maskToken: recipes[method].masks,
  });
  return {
    method,
    backbone,
    head: {
      inDim: backbone.dim,
      hiddenDim: 32,
      bottleneckDim: 16,
      prototypes: 24,
      layers: 3,
      normLastLayer: !vmf,
      vmf,
      layer: shared ? 'shared' : 'weight-norm',
      batchNorm: shared,
      bias: true,
    },
    studentTemperature: 0.1,
    // A centre that stands still, so that the targets of a still teacher do too.
    centerMomentum: 1,
    targets: method === 'capi' || learning === 'clustering' ? 'sinkhorn' : 'logit-centering',
    learning,
    mixture: { forgetting: 1e-6, varianceFloor: 1e-4, seed: 1 },
    regularizers: { koleo: 0, koleoProto: 0 },
  };
}

function fresh(config: MethodConfig): Method {
  const specs = methodParameters(config);
  return new Method(config, initialise(specs.student, 1), initialise(specs.teacher, 1));
}

const values = { teacherTemperature: 0.06, annealing: 0.5 };

/** One step on the same batch, of the student alone: the total of the losses before it. */
function descend(method: Method, learnt: Map<string, Tensor>, optimiser: AdamW): Tensor {
  return scope(() => {
    const { total } = method.losses(batchFor(method.config.method!), values);
    const found = backward(total, [...learnt.values()]);
    const gradients = new Map([...learnt.keys()].map((name, i) => [name, found[i]]));
    optimiser.step(gradients, { lr: 2e-3, weightDecay: 0, clip: 3, momentum: 1 });
    return total;
  });
}

for (const method of methodNames)
  for (const learning of prototypeLearnings) {
    if (learning === 'clustering' && method === 'msn') continue;
    test(`${method}, prototypes by ${learning}: a few steps lower the loss`, async (t) => {
      const made = fresh(configFor(method, learning));
      const learnt = new Map([
        ...made.student.parameters,
        ...[...made.clustered].map(([name, value]) => [`teacher.${name}`, value] as const),
      ]);
      for (const parameter of learnt.values()) watch(parameter);
      const optimiser = new AdamW(learnt, new Map());
      const losses: number[] = [];
      for (let step = 0; step < 12; step++) {
        const total = descend(made, learnt, optimiser);
        losses.push(await total.item());
        total.dispose();
      }
      t.true(losses.every(Number.isFinite));
      t.true(losses.at(-1)! < losses[0]! - 0.01, losses.map((l) => l.toFixed(3)).join(' '));
      for (const value of made.state.values()) t.true((await value.read()).every(Number.isFinite));
    });
  }

for (const method of methodNames)
  test(`${method}: gradients reach every student parameter and no follower`, (t) => {
    const made = fresh(configFor(method, 'gradient'));
    const student = [...made.student.parameters];
    for (const [, parameter] of student) watch(parameter);
    const found = scope(() =>
      backward(
        made.losses(batchFor(method), values).total,
        student.map(([, parameter]) => parameter),
      ),
    );
    const missing = student.flatMap(([name], i) => (found[i] ? [] : [name]));
    t.deepEqual(missing, []);
  });

test('patches may have other prototypes, or a head of their own', async (t) => {
  for (const patchHead of ['prototypes', 'separate'] as const) {
    const config = { ...configFor('ibot', 'gradient'), patchHead, patchPrototypes: 40 };
    const made = fresh({ ...config, regularizers: { koleo: 0, koleoProto: 0.1 } });
    t.deepEqual(made.heads, ['cls', 'patch']);
    t.is(made.student.patchHead.prototypes().shape[0], 40);
    t.is(made.state.get('patch_centre')!.size, 40);
    const { parts } = scope(() => made.losses(batchFor('ibot'), values));
    t.deepEqual(Object.keys(parts), ['dino', 'ibot', 'koleoProto']);
    for (const part of Object.values(parts)) t.true(Number.isFinite(await part.item()));
  }
});

test('a step without a masked patch has no patch loss and moves no patch state', (t) => {
  const made = fresh(configFor('ibot', 'gradient'));
  const batch = batchFor('ibot');
  const { parts } = made.losses({ ...batch, mask: new Uint8Array(batch.mask!.length) }, values);
  t.deepEqual(Object.keys(parts), ['dino']);
});

test('a batch without what the recipe needs is refused', (t) => {
  const code = 'ERR_PROTEA_CONFIG';
  const made = fresh(configFor('ibot', 'gradient'));
  t.throws(() => made.losses(batchFor('dino'), values), { code, message: /with a mask/ });
  const dino = fresh(configFor('dino', 'gradient'));
  t.throws(() => dino.losses(batchFor('ibot'), values), { code, message: /without a mask/ });
});

test('MSN: student and teacher share one set of prototypes, which does not follow', (t) => {
  const made = fresh(configFor('msn', 'gradient'));
  t.is(made.student.head.directions, made.teacher.head.directions);
  t.false(made.followers.has('head.prototypes'));
});

test('clustering: the prototypes of the teacher are its own and do not follow', (t) => {
  const made = fresh(configFor('dino', 'clustering'));
  t.deepEqual([...made.clustered.keys()], ['head.last_layer.weight', 'head.last_layer.bias']);
  t.deepEqual(
    [...made.followers.keys()].filter((name) => name.includes('last_layer')),
    [],
  );
});

test('a mixture moves towards what the teacher sees, and every component keeps a weight', async (t) => {
  const config = configFor('dino', 'mixture');
  const made = fresh({ ...config, mixture: { ...config.mixture!, forgetting: 0.05 } });
  const before = await made.state.get('mixture.prototypes')!.read();
  for (let step = 0; step < 5; step++) scope(() => void made.losses(batchFor('dino'), values));
  t.notDeepEqual(await made.state.get('mixture.prototypes')!.read(), before);
  const weights = await made.state.get('mixture.pi')!.read();
  t.true(weights.every((w) => Number(w) > 0));
});

test('prototypes that stand still leave KoLeo-proto out', (t) => {
  const config = { ...configFor('dino', 'gradient'), regularizers: { koleo: 0, koleoProto: 1 } };
  const { parts } = fresh(config).losses(batchFor('dino'), { ...values, frozen: true });
  t.deepEqual(Object.keys(parts), ['dino']);
});

test('a step leaves nothing behind but its losses', (t) => {
  const live = () => native((addon) => addon.memory()).tensors;
  for (const learning of prototypeLearnings) {
    const made = fresh(configFor('ibot', learning));
    const before = live();
    scope(() => void made.losses(batchFor('ibot'), values));
    t.is(live(), before, learning);
  }
});
