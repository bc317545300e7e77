// Writes a full DINO ViT-S/16 checkpoint in the form of the official code, with as many prototypes as
// asked and planted copies among them: node scripts/make-checkpoint.mjs PATH [K 65536] [distinct 939]
import { normals, vitConfig, vitParameters } from '../dist/lib/nn/index.js';
import { floats, Namespace, torchZip, writePieces } from '../dist/test/support/torch-writer.js';

const [path, total = '65536', distinct = '939'] = process.argv.slice(2);
if (!path) throw new Error('usage: node scripts/make-checkpoint.mjs PATH [K] [distinct]');
const [K, M, P, D, hidden] = [Number(total), Number(distinct), 256, 384, 2048];
const size = (shape) => shape.reduce((a, b) => a * b, 1);
const noise = Float32Array.from(normals(1, 0, 0, 1 << 20));

/** Numbers of the size of trained weights, the same few again and again. */
function weights(shape, scale = 0.02) {
  const values = new Float32Array(size(shape));
  for (let at = 0; at < values.length; at += noise.length)
    values.set(noise.subarray(0, Math.min(noise.length, values.length - at)), at);
  return values.map((v) => v * scale);
}

/** K prototypes around M random directions, few of which have most copies, at a distance of 0.005. */
function prototypes() {
  const centres = Float32Array.from(normals(2, 0, 0, M * P));
  const values = new Float32Array(K * P);
  for (let k = 0; k < K; k++) {
    const centre = k < M ? k : Math.floor(M * (((k * 7919) % K) / K) ** 6);
    for (let p = 0; p < P; p++)
      values[k * P + p] = centres[centre * P + p] + 0.1 * noise[(k * 131 + p * 7) % noise.length];
  }
  return values;
}

let key = 0;
const tensor = (shape, values = weights(shape)) => floats(String(key++), values, shape);

function network(prefix) {
  const config = vitConfig('vit-s', { imageSize: 224, patchSize: 16 });
  const backbone = vitParameters(config).map(({ name, shape }) => [`backbone.${name}`, shape]);
  const widths = [D, hidden, hidden, P];
  const mlp = widths.slice(1).flatMap((outputs, i) => [
    [`head.mlp.${2 * i}.weight`, [outputs, widths[i]]],
    [`head.mlp.${2 * i}.bias`, [outputs]],
  ]);
  const named = [...backbone, ...mlp].map(([name, shape]) => [prefix + name, tensor(shape)]);
  named.push([`${prefix}head.last_layer.weight_g`, tensor([K, 1], new Float32Array(K).fill(1))]);
  named.push([`${prefix}head.last_layer.weight_v`, tensor([K, P], prototypes())]);
  return new Map(named);
}

const student = network('module.');
const moments = [...student.values()].map(({ shape }, i) => [
  String(i),
  { step: 1000, exp_avg: tensor(shape), exp_avg_sq: tensor(shape) },
]);
const args = { arch: 'vit_small', patch_size: 16, out_dim: K, teacher_temp: 0.07 };
writePieces(
  path,
  torchZip({
    student,
    teacher: network(''),
    optimizer: { state: Object.fromEntries(moments), param_groups: [] },
    epoch: 100,
    args: new Namespace({ ...args, warmup_teacher_temp: 0.04, warmup_teacher_temp_epochs: 30 }),
    dino_loss: new Map([['center', tensor([1, K])]]),
  }),
);
