import test from 'ava';
import { initialise, vitConfig } from '../../lib/nn/index.js';
import {
  dinoPairs,
  koleoProto,
  Method,
  type MethodConfig,
  maskedTokens,
  meMax,
  meMaxOf,
  methodParameters,
  targetKinds,
} from '../../lib/ssl/index.js';
import { backward, linear, scope, softmax, tensor, watch } from '../../lib/tensor/index.js';
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
const regularizers = { koleoProto: 0, koleo: 0 };
const base = { backbone, head, studentTemperature: 0.1, centerMomentum: 0.9, regularizers };
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

const vmfBase = { ...base, head: { ...head, normLastLayer: false, vmf: true } };

function fresh(koleoProtoWeight: number, koleoWeight: number): Method {
  const specs = methodParameters(base);
  const [student, teacher] = [initialise(specs.student, 1), initialise(specs.teacher, 1)];
  for (const p of student.values()) watch(p);
  const weights = { koleoProto: koleoProtoWeight, koleo: koleoWeight };
  return new Method({ ...base, regularizers: weights }, student, teacher);
}

const values = { teacherTemperature: 0.04 };

test('pairs of different views count the same, equal views nothing', (t) => {
  t.deepEqual(dinoPairs(3, 2, 2), [0, 1 / 8, 1 / 8, 0, 1 / 8, 1 / 8]);
  t.deepEqual(dinoPairs(2, 2, 1), [0, 0.5, 0.5, 0]);
});

test('the total is the weighted sum of its parts', async (t) => {
  const { total, parts } = fresh(0.5, 0.25).losses(batch(), values);
  const [dino, spread, koleo] = await Promise.all(
    ['dino', 'koleoProto', 'koleo'].map((name) => parts[name]!.item()),
  );
  const sum = dino! + 0.5 * spread! + 0.25 * koleo!;
  t.true(Math.abs((await total.item()) - sum) < 1e-5);
  const plain = fresh(0, 0).losses(batch(), values);
  t.is(plain.total, plain.parts.dino!);
  t.deepEqual(Object.keys(plain.parts), ['dino']);
});

test('gradients reach every student parameter and no teacher parameter', (t) => {
  const method = fresh(0.1, 0.1);
  const student = [...method.student.parameters];
  const found = scope(() =>
    backward(
      method.losses(batch(), values).total,
      student.map(([, p]) => p),
    ),
  );
  const missing = student.flatMap(([name], i) => (found[i] ? [] : [name]));
  t.deepEqual(missing, []);
});

test('the centre moves by a tenth of the way to the mean logits', async (t) => {
  const method = fresh(0, 0);
  const before = await method.state.get('centre')!.read();
  t.true(before.every((v) => v === 0));
  method.losses(batch(), values);
  const logits = method.teacher.head.logits(method.teacher.backbone.features(crops(2, 16)));
  const read = await logits.read();
  const centre = await method.state.get('centre')!.read();
  for (let k = 0; k < 24; k++) {
    let mean = 0;
    for (let row = 0; row < 6; row++) mean += read[row * 24 + k]! / 6;
    t.true(Math.abs(centre[k]! - 0.1 * mean) < 1e-5);
  }
});

test('KoLeo-proto does not depend on the lengths of the prototypes', async (t) => {
  const short = pseudo(40, 3);
  const longer = short.map((v, i) => v * (1 + Math.floor(i / 4)));
  const [a, b] = [short, longer].map((v) => koleoProto(tensor(v, [10, 4])));
  t.true(Math.abs((await a!.item()) - (await b!.item())) < 1e-5);
});

for (const targets of targetKinds)
  test(`vMF logits with ${targets}: finite, with a gradient for every magnitude`, async (t) => {
    const specs = methodParameters(vmfBase).student;
    const [student, teacher] = [initialise(specs, 1), initialise(specs, 1)];
    const weight = watch(student.get('head.last_layer.weight_g')!);
    const config: MethodConfig = { ...vmfBase, method: 'dino-vmf', targets };
    const method = new Method(config, student, teacher);
    for (let step = 0; step < 3; step++) {
      const { total, gradient } = scope(() => {
        const losses = method.losses(batch(), values);
        return { total: losses.total, gradient: backward(losses.total, [weight])[0] };
      });
      t.true(Number.isFinite(await total.item()));
      t.true((await gradient!.read()).every((v) => Number.isFinite(v) && v !== 0));
    }
    for (const value of method.state.values()) t.true((await value.read()).every(Number.isFinite));
  });

test('vMF logits with fixed magnitudes are refused before anything runs', (t) => {
  const config = { ...vmfBase, head: { ...head, vmf: true } };
  const error = t.throws(() => methodParameters(config), { code: 'ERR_PROTEA_CONFIG' });
  t.regex(String((error as { hint?: string }).hint), /normLastLayer/);
});

test('masked tokens weigh what their image divides by, an image without a mask dilutes', (t) => {
  const { index, weight } = maskedTokens(Uint8Array.from([1, 0, 1, 0, 0, 0, 0, 1, 0]), 3);
  t.deepEqual([...index], [0, 2, 7]);
  t.deepEqual([...weight], [1 / 6, 1 / 6, 1 / 3].map(Math.fround));
  t.throws(() => maskedTokens(new Uint8Array(7), 3), { code: 'ERR_PROTEA_SHAPE' });
});

test('ME-MAX is 0 for an even mean and log K for one prototype', async (t) => {
  const even = tensor([1, 0, 0, 1], [2, 2]);
  t.true(Math.abs(await meMax(even).item()) < 1e-6);
  const one = tensor([1, 0, 1, 0], [2, 2]);
  t.true(Math.abs((await meMax(one).item()) - Math.log(2)) < 1e-6);
});

/** The gradient of KoLeo-proto with respect to prototypes (K, 4). */
async function spreading(values: number[], options: Parameters<typeof koleoProto>[1]) {
  const gradient = scope(() => {
    const prototypes = watch(tensor(values, [values.length / 4, 4]));
    return backward(koleoProto(prototypes, options), [prototypes])[0]!;
  });
  return Array.from(await gradient.read(), Number);
}

const copies = [1, 2, 3, 4, 1, 2, 3, 4, -1, 0, 2, 1];

test('exact copies part under the tie break, the same way every time, with a bounded force', async (t) => {
  const pair = copies.slice(0, 8);
  t.true(
    (await spreading(pair, {})).every((v) => v === 0),
    'no direction, no force',
  );
  const parted = await spreading(pair, { tieBreak: 1e-4 });
  t.deepEqual(await spreading(pair, { tieBreak: 1e-4 }), parted);
  const apart = parted.slice(0, 4).reduce((s, v, i) => s + (v - parted[4 + i]!) ** 2, 0);
  t.true(apart > 1e-4, `${apart}`);
  t.true(Math.hypot(...parted) < 1e3);
});

test('its own clip keeps KoLeo-proto from crowding out the other gradients', async (t) => {
  const near = copies.map((v, i) => v + (i === 4 ? 2e-3 : 0));
  const whole = await spreading(near, {});
  t.true(Math.hypot(...whole) > 1);
  const clipped = await spreading(near, { clip: 0.25 });
  t.true(Math.abs(Math.hypot(...clipped) - 0.25) < 1e-5);
  clipped.forEach((v, i) => {
    t.true(Math.abs(v - (0.25 * whole[i]!) / Math.hypot(...whole)) < 1e-5);
  });
});

test('ME-MAX of rows is ME-MAX of their probabilities', async (t) => {
  const rows = { z: tensor(pseudo(20, 1), [5, 4]), prototypes: tensor(pseudo(28, 2), [7, 4]) };
  const streamed = await meMaxOf({ ...rows, temperature: 0.2 }).item();
  const written = await meMax(softmax(linear(rows.z, rows.prototypes), 0.2)).item();
  t.true(Math.abs(streamed - written) < 1e-6);
});
