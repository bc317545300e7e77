import test from 'ava';
import { symmetricEigenvalues } from '../../lib/diagnose/eigenvalues.js';
import {
  AssignmentCount,
  factsOf,
  findHeads,
  groupsOf,
  normalizedMutualInformation,
  parseConditions,
} from '../../lib/diagnose/index.js';
import type { ProteaError } from '../../lib/error.js';
import type { TensorFile } from '../../lib/formats/tensor-file.js';

/** A file of tensors by their shapes. */
const fileOf = (shapes: Record<string, number[]>, more: Partial<TensorFile> = {}): TensorFile => ({
  path: 'x.pth',
  format: 'torch',
  names: Object.keys(shapes),
  shapeOf: (name) => shapes[name]!,
  read: () => Promise.reject(new Error('not read')),
  extra: undefined,
  close: async () => {},
  ...more,
});

const spellings: [string, string, 'student' | 'teacher' | null][] = [
  ['DINO', 'student.module.head.last_layer.weight_v', 'student'],
  ['DINO', 'teacher.head.last_layer.weight_v', 'teacher'],
  ['iBOT', 'teacher.head.last_layer2.weight_v', 'teacher'],
  ['newer PyTorch', 'teacher.head.last_layer.parametrizations.weight.original1', 'teacher'],
  ['DINOv2', 'model.teacher.dino_head.last_layer.weight_v', 'teacher'],
  ['DINOv3', 'model_ema.ibot_head.last_layer.weight', 'teacher'],
  ['CAPI', 'model.teacher.head.layer.weight', 'teacher'],
  ['CAPI', 'model.student.head.last_layer.weight_v', 'student'],
  ['MSN', 'prototypes', null],
  ['SwAV', 'module.prototypes.weight', null],
  ['SwAV, several heads', 'module.prototypes.prototypes0.weight', null],
  ['lightly', 'teacher_head.last_layer.weight_v', 'teacher'],
];
for (const [code, name, network] of spellings)
  test(`finds ${name} of ${code}`, (t) => {
    const file = fileOf({ [name]: [100, 16], 'backbone.blocks.0.attn.qkv.weight': [96, 32] });
    const heads = findHeads(file);
    t.deepEqual(
      heads.map((head) => [head.name, head.network]),
      [[name, network]],
    );
  });

test('magnitudes go with their directions; moments of an optimiser are no heads', (t) => {
  const [head] = findHeads(
    fileOf({
      'head.last_layer.parametrizations.weight.original0': [100, 1],
      'head.last_layer.parametrizations.weight.original1': [100, 16],
      'optimizer.state.head.last_layer.weight_v': [100, 16],
      'optimiser.exp_avg.head.last_layer.weight_v': [100, 16],
    }),
  );
  t.like(head, {
    name: 'head.last_layer.parametrizations.weight.original1',
    gains: 'head.last_layer.parametrizations.weight.original0',
    weightNormed: true,
  });
});

test('heads that share their prototypes are one', (t) => {
  const shapes = { 'h.last_layer.weight_v': [9, 4], 'h.last_layer2.weight_v': [9, 4] };
  const heads = findHeads(fileOf(shapes, { identityOf: () => 'same' }));
  t.deepEqual(
    heads.map(({ name, shared }) => [name, shared]),
    [['h.last_layer.weight_v', ['h.last_layer2.weight_v']]],
  );
});

test('a backbone without a head is said to be one', (t) => {
  const shapes = { 'patch_embed.proj.weight': [8, 3, 4, 4], 'blocks.0.attn.qkv.weight': [24, 8] };
  const error = t.throws(() => findHeads(fileOf(shapes)), { code: 'ERR_PROTEA_CHECKPOINT_FORMAT' });
  t.regex((error as { hint?: string }).hint!, /backbone without its head/);
});

test('without a known name the candidates are told by shape, prototypes likely first', (t) => {
  const file = fileOf({
    'blocks.0.mlp.fc1.weight': [1536, 384],
    'centres.w': [8192, 256],
    'proj.weight': [256, 2048],
    bias: [256],
  });
  const error = t.throws(() => findHeads(file)) as ProteaError;
  t.is(error.code, 'ERR_PROTEA_CHECKPOINT_FORMAT');
  t.regex(error.hint!, /shape: centres\.w \(8192, 256\), proj\.weight \(256, 2048\)$/);
  t.is(findHeads(file, 'centres.w')[0]!.name, 'centres.w');
  t.throws(() => findHeads(file, 'nothing'), { message: /has no tensor "nothing"/ });
});

test('facts: temperatures as the schedule stands, or the official defaults', (t) => {
  const args = new Map<string, unknown>([
    ['arch', 'vit_small'],
    ['teacher_temp', 0.07],
    ['warmup_teacher_temp', 0.04],
    ['warmup_teacher_temp_epochs', 31],
  ]);
  const at = (epoch: number) =>
    factsOf({
      extra: new Map<string, unknown>([
        ['args', args],
        ['epoch', epoch],
      ]),
    });
  t.like(at(15), { epoch: 15, arch: 'vit_small', told: true });
  t.true(Math.abs(at(15).teacherTemperature - 0.055) < 1e-12);
  t.is(at(100).teacherTemperature, 0.07);
  t.like(factsOf({ extra: undefined }), { teacherTemperature: 0.04, told: false });
  t.like(factsOf({ extra: { protea: '{"step":7,"config":{"head":{"vmf":true}}}' } }), {
    step: 7,
    vmf: true,
  });
  t.is(factsOf({ extra: { protea: 'no JSON' } }).step, null);
});

test('conditions: shares, counts, several, and what is none', (t) => {
  const head = {
    unique: 300,
    total: 1000,
    redundancy: { max: 40, mean: 3, histogram: {} },
    effectiveRank: 20,
    dead: 1,
  };
  for (const yes of [
    'unique<0.5',
    '0.5',
    'unique<=300',
    'largest>10',
    'rank<32',
    'dead>=1',
    'rank<3,largest>=40',
  ])
    t.true(parseConditions(yes)(head), yes);
  for (const no of ['unique<0.2', 'unique<100', 'largest>100', 'rank<3,dead>1'])
    t.false(parseConditions(no)(head), no);
  for (const bad of ['unique', 'unique=1', 'constructor<1', 'unique<', '']) {
    t.throws(() => parseConditions(bad), { code: 'ERR_PROTEA_CONFIG' });
  }
});

test('eigenvalues of a symmetric matrix', (t) => {
  const near = (found: Float64Array, expected: number[]) =>
    expected.forEach((value, i) => {
      t.true(Math.abs(found[i]! - value) < 1e-9, `${found[i]}, not ${value}`);
    });
  near(symmetricEigenvalues(Float64Array.of(2, 1, 1, 2), 2), [1, 3]);
  near(symmetricEigenvalues(new Float64Array(9), 3), [0, 0, 0]);
  near(symmetricEigenvalues(Float64Array.of(5), 1), [5]);
  // The path of n points has eigenvalues 2 - 2 cos(pi k / (n + 1)); hidden behind a reflection.
  const n = 40;
  const v = Array.from({ length: n }, (_, i) => Math.sin(1 + i));
  const square = v.reduce((a, b) => a + b * b, 0);
  const mirror = (i: number, j: number) => Number(i === j) - (2 * v[i]! * v[j]!) / square;
  const path = (i: number, j: number) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0);
  const product = (a: typeof mirror, b: typeof mirror) => (i: number, j: number) =>
    Array.from({ length: n }, (_, k) => a(i, k) * b(k, j)).reduce((x, y) => x + y, 0);
  const turned = product(mirror, product(path, mirror));
  near(
    symmetricEigenvalues(
      Float64Array.from({ length: n * n }, (_, k) => turned(Math.floor(k / n), k % n)),
      n,
    ),
    Array.from({ length: n }, (_, k) => 2 - 2 * Math.cos((Math.PI * (k + 1)) / (n + 1))),
  );
});

test('assignments are counted image by image', (t) => {
  const count = new AssignmentCount(groupsOf([0, 0, 2], 0.1, 'greedy'), [1], 1);
  count.add([0.5, 0.3, 0.2, 0.1, 0.8, 0.1, 0, 0, 1], [10, 11, 12], (image) => Number(image > 11));
  const report = count.report();
  t.like(report, {
    images: 3,
    latentClasses: 2,
    unused: 0,
    nmi: 1,
    classSize: { max: 2, mean: 1.5 },
  });
  t.deepEqual(count.examplesOf(0), [{ image: 11, probability: 0.8 }]);
  t.deepEqual(
    [...count.distribution].map((p) => Math.round(30 * p)),
    [6, 11, 13],
  );
  t.true(
    Math.abs(
      report.unique.entropy + (17 / 30) * Math.log(17 / 30) + (13 / 30) * Math.log(13 / 30),
    ) < 1e-12,
  );
  t.is(normalizedMutualInformation([0, 1], [0, undefined]), null);
  t.true(normalizedMutualInformation([0, 0, 1, 1], [0, 1, 0, 1])! < 1e-12);
});
