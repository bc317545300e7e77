// Each recipe against its formula, written out over whole matrices of probabilities.
import test from 'ava';
import { initialise, vitConfig } from '../../lib/nn/index.js';
import {
  type CropBatch,
  Method,
  type MethodConfig,
  methodParameters,
  type Network,
} from '../../lib/ssl/index.js';
import { linear, type Tensor, takeToken, tensor } from '../../lib/tensor/index.js';
import { pseudo } from '../support/check-op.js';

const [images, K, patches] = [4, 11, 16];
const [studentTemperature, teacherTemperature, patchTemperature] = [0.1, 0.05, 0.07];
const values = { teacherTemperature, patchTemperature };
const crops = (views: number, size: number, seed: number) =>
  tensor(pseudo(views * images * 3 * size * size, seed), [views * images, 3, size, size]);
const global = crops(2, 16, 1);
const local = crops(3, 8, 2);
const mask = Uint8Array.from({ length: 2 * images * patches }, (_, i) =>
  Number(Math.floor(i / patches) % 3 > 0 && (7 * i) % 5 < 2),
);

function fresh(changes: Partial<MethodConfig>, head: Partial<MethodConfig['head']> = {}): Method {
  const backbone = vitConfig('vit-nano', {
    imageSize: 16,
    patchSize: 4,
    depth: 2,
    maskToken: changes.method !== 'msn' && changes.method !== 'dino',
  });
  const config: MethodConfig = {
    backbone,
    head: {
      inDim: backbone.dim,
      hiddenDim: 24,
      bottleneckDim: 8,
      prototypes: K,
      layers: 2,
      normLastLayer: true,
      bias: true,
      ...head,
    },
    studentTemperature,
    centerMomentum: 0.9,
    targets: 'none',
    regularizers: { koleo: 0, koleoProto: 0 },
    ...changes,
  };
  const specs = methodParameters(config);
  return new Method(config, initialise(specs.student, 1), initialise(specs.teacher, 2));
}

type Matrix = number[][];

async function matrix(x: Tensor): Promise<Matrix> {
  const [rows, columns] = x.shape as [number, number];
  const flat = Array.from(await x.read(), Number);
  return Array.from({ length: rows }, (_, i) => flat.slice(i * columns, (i + 1) * columns));
}

const softmax = (row: number[], temperature: number) => {
  const top = Math.max(...row);
  const e = row.map((v) => Math.exp((v - top) / temperature));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
};
const crossEntropy = (q: number[], logits: number[], temperature: number) => {
  const p = softmax(logits, temperature);
  return -q.reduce((s, v, k) => s + v * Math.log(p[k]!), 0);
};
const mean = (x: number[]) => x.reduce((a, b) => a + b, 0) / x.length;

/** Logits of the CLS tokens of some crops. */
const clsLogits = (network: Network, tokens: Tensor) =>
  matrix(network.head.logits(takeToken(tokens, 0)));

/** Logits of the patches, crop by crop. */
async function patchLogits(network: Network, tokens: Tensor): Promise<Matrix> {
  const [count, length, dim] = tokens.shape as [number, number, number];
  const all = await matrix(network.patchHead.logits(tokens.reshape([count * length, dim])));
  return all.filter((_, i) => i % length > 0);
}

/** The mean over pairs of different views, each weighed by `share`. */
function viewLoss(student: Matrix, teacher: Matrix, views: number, terms: number): number {
  let sum = 0;
  for (let v = 0; v < views; v++)
    for (let u = 0; u < 2; u++)
      for (let b = 0; b < images && u !== v; b++) {
        const q = softmax(teacher[u * images + b]!, teacherTemperature);
        sum += crossEntropy(q, student[v * images + b]!, studentTemperature) / (terms * images);
      }
  return sum;
}

const batch = (changes: Partial<CropBatch>): CropBatch => ({
  images,
  global,
  globalViews: 2,
  local,
  localViews: 3,
  ...changes,
});

const near = (a: number, b: number) => Math.abs(a - b) < 2e-5 * Math.max(1, Math.abs(b));

for (const [method, terms] of [
  ['ibot', 8],
  ['dinov2', 8],
] as const)
  test(`${method}: CLS pairs and masked patches, a masked crop's patches averaged first`, async (t) => {
    const made = fresh({ method });
    const { student, teacher } = made;
    const maskRows = tensor(mask, [2 * images, patches]);
    const seen = student.backbone.forward(global, { mask: maskRows });
    const whole = teacher.backbone.forward(global);
    const cls = [
      ...(await clsLogits(student, seen)),
      ...(await clsLogits(student, student.backbone.forward(local))),
    ];
    const expected = viewLoss(cls, await clsLogits(teacher, whole), 5, terms);
    const [s, q] = [await patchLogits(student, seen), await patchLogits(teacher, whole)];
    const perCrop = Array.from({ length: 2 * images }, (_, c) => {
      const own = [...mask.keys()].filter((i) => Math.floor(i / patches) === c && mask[i]);
      const terms = own.map((i) =>
        crossEntropy(softmax(q[i]!, patchTemperature), s[i]!, studentTemperature),
      );
      return terms.length ? mean(terms) : 0;
    });
    t.true(perCrop.includes(0), 'a crop without a mask takes part in the mean');
    const { parts } = made.losses(batch({ mask }), values);
    t.true(near(await parts.dino!.item(), expected));
    t.true(near(await parts.ibot!.item(), mean(perCrop)));
  });

test('the state takes in all patches for iBOT, and the masked ones for DINOv2', async (t) => {
  for (const method of ['ibot', 'dinov2'] as const) {
    const made = fresh({ method, targets: 'logit-centering' });
    const logits = await patchLogits(made.teacher, made.teacher.backbone.forward(global));
    made.losses(batch({ mask }), values);
    const rows = logits.filter((_, i) => method === 'ibot' || mask[i]);
    const centre = await made.state.get('patch_centre')!.read();
    for (let k = 0; k < K; k++)
      t.true(Math.abs(centre[k]! - 0.1 * mean(rows.map((row) => row[k]!))) < 1e-6);
  }
});

test('MSN: every anchor against the target of the whole first view, and ME-MAX of their mean', async (t) => {
  const regularizers = { koleo: 0, koleoProto: 0, meMax: 1 };
  const made = fresh({ method: 'msn', regularizers }, { layer: 'shared', batchNorm: true });
  const { student, teacher } = made;
  const visible = Int32Array.from([0, 3, 4, 9, 10, 15]);
  const half = (v: number) =>
    tensor(pseudo(2 * images * 768, 1).slice(v * images * 768, (v + 1) * images * 768), [
      images,
      3,
      16,
      16,
    ]);
  const anchors = [
    student.backbone.features(half(1), { visible }),
    student.backbone.features(local),
  ];
  const rows = await Promise.all(anchors.map((x) => matrix(x)));
  const features = tensor(rows.flat(2), [4 * images, student.config.backbone.dim]);
  const logits = await matrix(linear(student.head.bottleneck(features), student.head.prototypes()));
  const target = teacher.head.bottleneck(teacher.backbone.features(half(0)));
  const q = (await matrix(linear(target, student.head.prototypes()))).map((row) =>
    softmax(row, teacherTemperature),
  );
  const expected = mean(
    logits.map((row, i) => crossEntropy(q[i % images]!, row, studentTemperature)),
  );
  const p = logits.map((row) => softmax(row, studentTemperature));
  const marginal = p[0]!.map((_, k) => mean(p.map((row) => row[k]!)));
  const missing = Math.log(K) + marginal.reduce((s, v) => s + v * Math.log(v), 0);
  const { parts } = made.losses(batch({ visible }), values);
  t.true(near(await parts.msn!.item(), expected));
  t.true(near(await parts.meMax!.item(), missing));
});

/** Three turns of Sinkhorn-Knopp over rows e^(logit / temperature). */
function balanced(logits: Matrix, temperature: number): Matrix {
  let q = logits.map((row) => row.map((v) => Math.exp(v / temperature)));
  for (let turn = 0; turn < 3; turn++) {
    const columns = q[0]!.map((_, k) => q.reduce((s, row) => s + row[k]!, 0));
    q = q.map((row) => row.map((v, k) => v / columns[k]!));
    q = q.map((row) => row.map((v) => v / row.reduce((s, x) => s + x, 0)));
  }
  return q;
}

test('CAPI: targets balanced place by place, for the student and for the teacher itself', async (t) => {
  const made = fresh({ method: 'capi', targets: 'sinkhorn', learning: 'clustering' });
  const { student, teacher } = made;
  const one = tensor(pseudo(images * 768, 5), [images, 3, 16, 16]);
  const own = mask.slice(images * patches);
  const whole = await patchLogits(teacher, teacher.backbone.forward(one));
  const maskRows = tensor(own, [images, patches]);
  const seen = await patchLogits(student, student.backbone.forward(one, { mask: maskRows }));
  const place = (n: number) => Array.from({ length: images }, (_, b) => b * patches + n);
  const targets: Matrix = [];
  for (let n = 0; n < patches; n++) {
    const q = balanced(
      place(n).map((i) => whole[i]!),
      patchTemperature,
    );
    place(n).forEach((i, b) => {
      targets[i] = q[b]!;
    });
  }
  const perImage = Array.from({ length: images }, (_, b) => {
    const masked = [...own.keys()].filter((i) => Math.floor(i / patches) === b && own[i]);
    const terms = masked.map((i) => crossEntropy(targets[i]!, seen[i]!, studentTemperature));
    return terms.length ? mean(terms) : 0;
  });
  const clustering = mean(targets.map((q, i) => crossEntropy(q, whole[i]!, studentTemperature)));
  const { parts } = made.losses(
    batch({ global: one, globalViews: 1, local: undefined, localViews: 0, mask: own }),
    values,
  );
  t.true(near(await parts.capi!.item(), mean(perImage)));
  t.true(near(await parts.clustering!.item(), clustering));
});
