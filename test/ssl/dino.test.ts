import test from 'ava';
import { initialise, vitConfig } from '../../lib/nn/index.js';
import { Dino, dinoPairs, dinoParameterSpecs, koleoProto } from '../../lib/ssl/index.js';
import { backward, scope, tensor, watch } from '../../lib/tensor/index.js';
import { pseudo } from '../support/check-op.js';

const backbone = vitConfig('vit-nano', { imageSize: 16, patchSize: 4, depth: 1 });
const head = {
  inDim: backbone.dim,
  hiddenDim: 32,
  bottleneckDim: 16,
  prototypes: 24,
  layers: 3,
  normLastLayer: true,
  bias: true,
};
const base = { backbone, head, studentTemperature: 0.1, centerMomentum: 0.9 };
const images = 3;
const crops = (views: number, size: number) =>
  tensor(pseudo(views * images * 3 * size * size, size), [views * images, 3, size, size]);
const batch = () => ({
  images,
  global: crops(2, 16),
  globalViews: 2,
  local: crops(1, 8),
  localViews: 1,
});

function fresh(koleoProtoWeight: number, koleoWeight: number): Dino {
  const specs = dinoParameterSpecs(base);
  const [student, teacher] = [initialise(specs, 1), initialise(specs, 1)];
  for (const p of student.values()) watch(p);
  return new Dino({ ...base, koleoProto: koleoProtoWeight, koleo: koleoWeight }, student, teacher);
}

test('pairs of different views count the same, equal views nothing', (t) => {
  t.deepEqual(dinoPairs(3, 2, 2), [0, 1 / 8, 1 / 8, 0, 1 / 8, 1 / 8]);
  t.deepEqual(dinoPairs(2, 2, 1), [0, 0.5, 0.5, 0]);
});

test('the total is the weighted sum of its parts', async (t) => {
  const { total, dino, koleoProto: spread, koleo } = fresh(0.5, 0.25).losses(batch(), 0.04);
  const sum = (await dino.item()) + 0.5 * (await spread!.item()) + 0.25 * (await koleo!.item());
  t.true(Math.abs((await total.item()) - sum) < 1e-5);
  const plain = fresh(0, 0).losses(batch(), 0.04);
  t.is(plain.total, plain.dino);
  t.is(plain.koleoProto, undefined);
});

test('gradients reach every student parameter and no teacher parameter', (t) => {
  const method = fresh(0.1, 0.1);
  const student = [...method.student.parameters];
  const found = scope(() =>
    backward(
      method.losses(batch(), 0.04).total,
      student.map(([, p]) => p),
    ),
  );
  const missing = student.flatMap(([name], i) => (found[i] ? [] : [name]));
  t.deepEqual(missing, []);
});

test('the centre moves by a tenth of the way to the mean logits', async (t) => {
  const method = fresh(0, 0);
  const before = await method.centering.centre.read();
  t.true(before.every((v) => v === 0));
  method.losses(batch(), 0.04);
  const logits = method.teacher.head.logits(method.teacher.backbone.features(crops(2, 16)));
  const values = await logits.read();
  const centre = await method.centering.centre.read();
  for (let k = 0; k < 24; k++) {
    let mean = 0;
    for (let row = 0; row < 6; row++) mean += values[row * 24 + k]! / 6;
    t.true(Math.abs(centre[k]! - 0.1 * mean) < 1e-5);
  }
});

test('KoLeo-proto does not depend on the lengths of the prototypes', async (t) => {
  const values = pseudo(40, 3);
  const longer = values.map((v, i) => v * (1 + Math.floor(i / 4)));
  const [a, b] = [values, longer].map((v) => koleoProto(tensor(v, [10, 4])));
  t.true(Math.abs((await a!.item()) - (await b!.item())) < 1e-5);
});
