// The layers before prototypes as several codes have them, against plain arithmetic.
import { join } from 'node:path';
import test from 'ava';
import { openData } from '../../lib/data/index.js';
import { factsOf, findHeads } from '../../lib/diagnose/index.js';
import { openTensorFile } from '../../lib/formats/tensor-file.js';
import { diagnoseCheckpoint } from '../../lib/inspect/index.js';
import { readNetwork } from '../../lib/inspect/network.js';
import { normals } from '../../lib/nn/index.js';
import { gelu, tensor } from '../../lib/tensor/index.js';
import { temporaryFolder } from '../support/folder.js';
import {
  dim,
  hidden,
  K,
  layers,
  type Names,
  numbersOf,
  P,
  random,
  at as stats,
  vit,
} from '../support/small-networks.js';
import { type TorchData, torchZip, writePieces } from '../support/torch-writer.js';

type Stored = ReadonlyMap<string, TorchData>;
type Activation = (x: Float32Array) => Promise<Float32Array>;

const activations: Record<string, Activation> = {
  gelu: async (x) => Float32Array.from(await gelu(tensor(x, [x.length])).read()),
  relu: async (x) => x.map((v) => Math.max(0, v)),
};

/** One row through the layers as PyTorch has them in evaluation, to assignments. */
async function assigned(
  feature: Float32Array,
  stored: Stored,
  names: Names,
  activation: Activation,
  prototypes: Float32Array,
  temperature: number,
) {
  let x = feature;
  for (const [i, [linear, norm]] of names.entries()) {
    const [w, b] = ['weight', 'bias'].map((part) => numbersOf(stored.get(`${linear}.${part}`)!));
    x = b!.map((bias, o) => x.reduce((sum, v, j) => sum + v * w![o * x.length + j]!, bias));
    if (norm) {
      const [g, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
        (part) => numbersOf(stored.get(`${norm}.${part}`)!),
      );
      x = x.map((v, o) => ((v - mean![o]!) / Math.sqrt(variance![o]! + 1e-5)) * g![o]! + beta![o]!);
    }
    if (i < names.length - 1) x = await activation(x);
  }
  const length = Math.hypot(...x);
  const logits = Array.from({ length: K }, (_, k) =>
    x.reduce((sum, v, p) => sum + (v / length) * prototypes[k * P + p]!, 0),
  );
  const powers = logits.map((l) => Math.exp((l - Math.max(...logits)) / temperature));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

const unit = (values: Float32Array) =>
  values.map((v, i) => {
    const from = i - (i % P);
    return v / Math.hypot(...values.subarray(from, from + P));
  });

interface Kind {
  names: Names;
  activation: string;
  temperature: number;
}
const mlps: Record<string, Kind> = {
  'MSN with batch norm': {
    names: [['fc.fc1', 'fc.bn1'], ['fc.fc2', 'fc.bn2'], ['fc.fc3']],
    activation: 'gelu',
    temperature: 0.025,
  },
  'MSN without': {
    names: [['fc.fc1'], ['fc.fc2'], ['fc.fc3']],
    activation: 'gelu',
    temperature: 0.025,
  },
  SwAV: {
    names: [['projection_head.0', 'projection_head.1'], ['projection_head.3']],
    activation: 'relu',
    temperature: 0.1,
  },
  'DINO with batch norm': {
    names: [['head.mlp.0', 'head.mlp.1'], ['head.mlp.3', 'head.mlp.4'], ['head.mlp.6']],
    activation: 'gelu',
    temperature: 0.04,
  },
};

/** A checkpoint of that kind; the network that is shown images is below `prefix`. */
function checkpoint(code: string, path: string) {
  const own = (): [string, TorchData][] =>
    [
      ...(code === 'DINO with batch norm' ? vit('backbone.') : vit('')),
      ...layers(mlps[code]!.names),
    ] as [string, TorchData][];
  const stored = new Map(own());
  const prototypes = random([K, P], 1);
  const below = (prefix: string, map: Stored) =>
    new Map([...map].map(([name, value]) => [prefix + name, value]));
  if (code.startsWith('MSN')) {
    const encoder = below('module.', new Map(own()));
    const target_encoder = below('module.', stored);
    writePieces(
      path,
      torchZip({ encoder, prototypes, target_encoder, epoch: 2, temperature: 0.1 }),
    );
    return { stored, prototypes: unit(numbersOf(prototypes)) };
  }
  if (code === 'SwAV') {
    const state_dict = below('module.', stored).set('module.prototypes.weight', prototypes);
    writePieces(path, torchZip({ state_dict, epoch: 2 }));
    return { stored, prototypes: numbersOf(prototypes) };
  }
  const teacher = new Map([...stored, ['head.last_layer.weight_v', prototypes]]);
  writePieces(path, torchZip({ teacher }));
  return { stored, prototypes: unit(numbersOf(prototypes)) };
}

for (const code of Object.keys(mlps))
  test(`${code}: images are assigned as its layers do in evaluation mode`, async (t) => {
    const path = join(temporaryFolder(t), 'checkpoint.pth');
    const { stored, prototypes } = checkpoint(code, path);
    const { names, activation, temperature } = mlps[code]!;
    const file = await openTensorFile(path);
    const facts = factsOf(file);
    const network = await readNetwork(file, findHeads(file)[0]!, facts);
    const images = tensor(normals(8, 0, 0, 2 * 3 * 32 * 32), [2, 3, 32, 32]);
    const [features, found] = await Promise.all([
      network.backbone.features(images).read(),
      network.assign(network.points(network.backbone.features(images))).read(),
    ]);
    await file.close();
    network.dispose();
    t.is(network.temperature, temperature);
    for (let i = 0; i < 2; i++) {
      const feature = Float32Array.from(features.subarray(i * dim, (i + 1) * dim));
      const act = activations[activation]!;
      const expected = await assigned(feature, stored, names, act, prototypes, temperature);
      expected.forEach((p, k) => {
        t.true(Math.abs(p - found[i * K + k]!) < 2e-5, `${found[i * K + k]}, not ${p}`);
      });
    }
    const data = await openData('flora:images=8,classes=2,size=40');
    t.is((await diagnoseCheckpoint(path, { data })).judged.mlcd!.images, 8);
  });

test('batch norm without statistics goes by those of all images shown', async (t) => {
  const path = join(temporaryFolder(t), 'checkpoint.pth');
  const stored = new Map<string, TorchData>([
    ...vit('backbone.'),
    ...layers([['head.mlp.0', 'head.mlp.1'], ['head.mlp.3']]),
  ]);
  const kept = ['running_mean', 'running_var'].map((part) => `head.mlp.1.${part}`);
  const without = new Map([...stored].filter(([name]) => !kept.includes(name)));
  without.set('head.last_layer.weight_v', random([K, P]));
  writePieces(path, torchZip({ teacher: without }));
  const file = await openTensorFile(path);
  const network = await readNetwork(file, findHeads(file)[0]!, factsOf(file));
  t.true(network.batchStatistics);
  const features = tensor(normals(3, 0, 0, 6 * dim), [6, dim]);
  const points = await network.points(features).read();
  const x = (await features.read()) as Float32Array;
  await file.close();
  network.dispose();
  // The same layers with those statistics stored are what evaluation mode would do.
  const [w, b] = ['weight', 'bias'].map((part) => numbersOf(stored.get(`head.mlp.0.${part}`)!));
  const outputs = Array.from(b!, (bias, o) =>
    Array.from({ length: 6 }, (_, i) =>
      x.subarray(i * dim, (i + 1) * dim).reduce((sum, v, j) => sum + v * w![o * dim + j]!, bias),
    ),
  );
  const moments = outputs.map((values) => {
    const mean = values.reduce((sum, v) => sum + v, 0) / 6;
    return [mean, values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 6] as const;
  });
  for (const [at, name] of kept.entries())
    stored.set(
      name,
      stats(
        Float32Array.from(moments, (moment) => moment[at]!),
        [hidden],
      ),
    );
  stored.set('head.last_layer.weight_v', random([K, P]));
  writePieces(path, torchZip({ teacher: stored }));
  const again = await openTensorFile(path);
  const evaluated = await readNetwork(again, findHeads(again)[0]!, factsOf(again));
  t.false(evaluated.batchStatistics);
  const expected = await evaluated.points(tensor(x, [6, dim])).read();
  await again.close();
  evaluated.dispose();
  expected.forEach((v, i) => {
    t.true(Math.abs(v - points[i]!) < 1e-4, `${points[i]}, not ${v}`);
  });
});

test('layers that are not understood are refused by name', async (t) => {
  const path = join(temporaryFolder(t), 'checkpoint.pth');
  const data = await openData('flora:images=4,classes=2,size=40');
  const refused = async (stored: Map<string, unknown>, message: RegExp) => {
    stored.set('head.last_layer.weight_v', random([K, P]));
    writePieces(path, torchZip({ teacher: stored }));
    await t.throwsAsync(diagnoseCheckpoint(path, { data }), {
      code: 'ERR_PROTEA_UNSUPPORTED',
      message,
    });
  };
  const plain = () => new Map<string, unknown>([...vit('backbone.'), ...layers([['head.mlp.0']])]);
  const normed = new Map<string, unknown>([
    ...vit('backbone.'),
    ...layers([['head.mlp.0', 'head.mlp.1'], ['head.mlp.3']]),
  ]);
  for (const part of ['mean', 'var']) normed.delete(`head.mlp.1.running_${part}`);
  normed.set('head.mlp.4.weight', random([3])).set('head.mlp.4.bias', random([3]));
  await refused(normed, /batch normalisation without running statistics in some layers only/);
  await refused(
    plain().set('head.mlp.1.weight', random([3, 3, 3])),
    /no plain MLP: .*mlp\.1\.weight/,
  );
  await refused(new Map(vit('backbone.')), /are missing or under no known name/);
  const gap = plain();
  for (const [name, value] of vit('backbone.blocks.7.'))
    if (name.endsWith('norm1.weight')) gap.set(name.replace(/7\..*norm1/, '7.norm1'), value);
  await refused(gap, /no ViT of DINO/);
});
